import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import type { DecisionRecord } from '../contracts/fit.ts';
import type { BenchRun } from '../fit/types.ts';
import { checkCanWriteFolder } from '../util/files.ts';
import type { CliContext, Outcome } from './context.ts';
import { UsageError } from './errors.ts';
import { measure } from './measure.ts';
import { addMeasureOptions, type MeasureOptions } from './options.ts';
import { wantsColor, widthOf, writeJson } from './output.ts';
import { renderReport } from './table.ts';

interface FitOptions extends MeasureOptions, Record<string, unknown> {
  readonly output: string;
}

const EXAMPLES = `
DIR gets the chosen model, decision.json (what was chosen, why, and everything
it was measured against) and report.md.

Examples:
  agent fit package.json -o fitted/
  agent fit model.onnx -o fitted/ --samples data.npz --max-accuracy-drop 0.5
  agent fit package.json -o fitted/ --optimize size --min-sqnr 25

Exit codes: 0 done, 1 failed, 2 bad usage or input, 3 an objective was not met.`;

/** `agent fit MODEL -o DIR`: bench, then keep the winner with its decision record. */
export function fitCommand(context: CliContext, outcome: Outcome): Command {
  const command = new Command('fit')
    .summary('bench, then keep the best model that is still accurate')
    .description('Benchmarks MODEL as `agent bench` does and keeps the winner in DIR.')
    .argument('<model>', 'model file or package manifest')
    .requiredOption('-o, --output <dir>', 'folder for the model, its record and the report');
  addMeasureOptions(command).option(
    '--json',
    'print the decision record as JSON (edgefit/decision/1)',
  );
  context.reporting?.addOptions(command);
  return command
    .addHelpText('after', EXAMPLES)
    .action(async (model: string, options: FitOptions) => {
      await checkFolder(options.output);
      await measure(model, options, context, outcome, (run) => keep(run, options, context));
    });
}

/** Found out before the long work, not after. */
async function checkFolder(path: string): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (found !== null && !found.isDirectory()) {
    throw new UsageError(`${path} is a file: give a folder with -o`);
  }
  await checkCanWriteFolder(path);
}

async function keep(run: BenchRun, options: FitOptions, { io }: CliContext): Promise<void> {
  const json = options.json === true;
  const layout = { width: widthOf(io.stdout, io.env), color: wantsColor(io.stdout, io.env) };
  if (!json) io.stdout.write(renderReport(run.report, layout));
  if (run.report.chosen === null) return;
  const { keepChoice } = await import('../fit/keep.ts');
  const record = await keepChoice(run, options.output);
  if (json) writeJson(io, record);
  else io.stdout.write(`\n${keptLine(record, options.output)}\n`);
}

function keptLine({ chosen }: DecisionRecord, folder: string): string {
  return `Kept: ${join(folder, chosen.file)} (record: ${join(folder, 'decision.json')})`;
}
