import { Command } from 'commander';
import type { InspectReport } from '../contracts/inspect.ts';
import { CHART_KINDS, isChartPath } from '../fit/inspect/inspect-chart.ts';
import type { CliContext } from './context.ts';
import { UsageError } from './errors.ts';
import { renderInspect } from './inspect-table.ts';
import { addInputOptions, readAudio, readImage, readSamples } from './options.ts';
import type { SampleOptions } from './options.ts';
import { widthOf, writeJson } from './output.ts';
import { wholeNumber } from './parsers.ts';
import { createProgress } from './progress.ts';

interface InspectOptions extends SampleOptions {
  readonly limit?: number;
  readonly top?: number;
  readonly output?: string;
  readonly json?: boolean;
}

/** Enough for a stable figure, few enough to take seconds. */
const DEFAULT_LIMIT = 16;

const EXAMPLES = `
Examples:
  agent inspect model.onnx
  agent inspect package.json small.onnx           error of each layer
  agent inspect model.onnx small.onnx --samples data.npz -o error.html
  agent inspect package.json small.onnx --top 10 --json

With VERSION, every tensor that both models have is compared on the samples:
SQNR is the error up to there, own SQNR what the layer adds by itself.

Exit codes: 0 done, 1 failed, 2 bad usage or input.`;

/** `agent inspect MODEL [QUANTIZED]`. */
export function inspectCommand(context: CliContext): Command {
  const command = new Command('inspect')
    .summary('what is in a model, and where a quantized one loses accuracy')
    .description('Shows what is in MODEL, or how far VERSION is from it, layer by layer.')
    .argument('<model>', 'model file or package manifest; with VERSION the float model')
    .argument('[version]', 'a quantized version of it, by any tool');
  return addInputOptions(command)
    .option(
      '--limit <samples>',
      `compare on at most so many samples (default: ${DEFAULT_LIMIT})`,
      wholeNumber({ min: 1 }),
    )
    .option(
      '--top <layers>',
      'show only so many layers: the heaviest, or those that add most error',
      wholeNumber({ min: 1 }),
    )
    .option('-o, --output <file>', 'draw the error of each layer into a .svg or .html file')
    .option('--json', 'print everything as JSON (edgefit/inspect/1)')
    .addHelpText('after', EXAMPLES)
    .action(async (model: string, quantized: string | undefined, options: InspectOptions) => {
      const report = await inspect(model, quantized, options, context);
      const { io } = context;
      if (options.json === true) writeJson(io, report);
      else io.stdout.write(renderInspect(report, widthOf(io.stdout, io.env), options.top));
    });
}

async function inspect(
  modelPath: string,
  quantizedPath: string | undefined,
  options: InspectOptions,
  { io, signal, loadFit }: CliContext,
): Promise<InspectReport> {
  checkUsage(quantizedPath, options);
  const request = {
    modelPath,
    quantizedPath,
    samples: readSamples(options),
    image: readImage(options),
    audio: readAudio(options),
    limit: options.limit ?? DEFAULT_LIMIT,
    chart: options.output,
  };
  const { inspectModel } = await loadFit();
  const progress = createProgress(io.stderr);
  return inspectModel(request, { signal, progress: progress.report }).finally(progress.clear);
}

const NEEDS_TWO = {
  samples: '--samples',
  samplesCommand: '--samples-command',
  limit: '--limit',
  output: '-o',
} as const;

function checkUsage(quantizedPath: string | undefined, options: InspectOptions): void {
  const { output } = options;
  for (const [key, flag] of Object.entries(NEEDS_TWO)) {
    if (quantizedPath !== undefined || !(key in options)) continue;
    throw new UsageError(
      `${flag} compares two models: name the quantized one behind the float one`,
    );
  }
  if (output !== undefined && !isChartPath(output)) {
    throw new UsageError(`-o ${output}: charts are ${CHART_KINDS.join(' or ')} files`);
  }
}
