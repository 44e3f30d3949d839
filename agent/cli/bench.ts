import { Command } from 'commander';
import { renderReport } from './table.ts';
import type { BenchRun } from '../fit/types.ts';
import { checkCanWriteFile, isSameFile, writeOutputFile } from '../util/files.ts';
import type { CliContext, Outcome } from './context.ts';
import { demoFor } from './demo.ts';
import { UsageError } from './errors.ts';
import { measure } from './measure.ts';
import { addMeasureOptions, type MeasureOptions } from './options.ts';
import { wantsColor, widthOf, writeJson } from './output.ts';

interface BenchOptions extends MeasureOptions, Record<string, unknown> {
  readonly output?: string;
}

const EXAMPLES = `
MODEL is an ONNX or TFLite file, or a package manifest (edgefit/model/1). The
file itself is always measured too: the others are compared with it. Versions
that a package brings along are measured beside those made here; one that is
compiled for the Edge TPU is run by libedgetpu where there is such a chip.

Examples:
  agent bench                             the demo: what this machine can do
  agent bench --runtime tflite            the same network as a TFLite model
  agent bench model.onnx --as-is --json   one file, machine-readable
  agent bench package.json --precision int8,fp32 --threads 1,4
  agent bench package.json --max-p90-ms 10 --output report.json
  agent bench model.onnx --samples photos/ --image-size 224x224 \\
    --mean 127.5 --std 127.5

Exit codes: 0 done, 1 failed, 2 bad usage or input, 3 an objective was not met.`;

/** `agent bench [MODEL]`: measure what is worth trying here, print the table and the choice. */
export function benchCommand(context: CliContext, outcome: Outcome): Command {
  const command = new Command('bench')
    .summary('benchmark a model and the precisions worth trying on this device')
    .description(
      'Benchmarks MODEL and the precisions worth trying on this device side by side,\nprints the table and the choice. With no MODEL, the built-in demo model.',
    )
    .argument('[model]', 'model file or package manifest');
  addMeasureOptions(command)
    .option('--json', 'print the report as JSON (edgefit/bench/1)')
    .option('-o, --output <file>', 'save the report as JSON, too');
  context.reporting?.addOptions(command);
  return command
    .addHelpText('after', EXAMPLES)
    .action(async (model: string | undefined, options: BenchOptions) => {
      const path = model ?? (await demoFor(options, context.demo));
      if (options.output !== undefined) await checkOutput(options.output, path);
      await measure(path, options, context, outcome, (run) => present(run, options, context));
    });
}

/** Found out before the long work, not after. */
async function checkOutput(output: string, modelPath: string): Promise<void> {
  await checkCanWriteFile(output);
  const { readPackage } = await import('../calibration/package.ts');
  const { modelPath: inside } = await readPackage(modelPath);
  for (const path of [modelPath, inside]) {
    // oxlint-disable-next-line no-await-in-loop -- two files
    if (!(await isSameFile(output, path))) continue;
    throw new UsageError(`--output ${output} is the model itself: give another name`);
  }
}

async function present(run: BenchRun, options: BenchOptions, { io }: CliContext): Promise<void> {
  const { report } = run;
  const layout = { width: widthOf(io.stdout, io.env), color: wantsColor(io.stdout, io.env) };
  if (options.json === true) writeJson(io, report);
  else io.stdout.write(renderReport(report, layout));
  // Last: what cannot be saved has been shown.
  if (options.output === undefined) return;
  await writeOutputFile(options.output, `${JSON.stringify(report, null, 2)}\n`);
}
