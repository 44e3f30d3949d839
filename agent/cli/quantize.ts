import { Command, Option } from 'commander';
import type { QuantizeReport } from '../contracts/quantize.ts';
import {
  AUTO,
  formatNames,
  isSchemeName,
  schemeNames,
  schemePresets,
  interfaceNames,
  type SchemeFormat,
  type SchemeInterface,
} from '../contracts/scheme.ts';
import type { QuantizeRequest } from '../fit/types.ts';
import type { CliContext } from './context.ts';
import { UsageError } from './errors.ts';
import {
  addSampleOptions,
  readAudio,
  readImage,
  readSamples,
  type SampleOptions,
} from './options.ts';
import { widthOf, writeJson } from './output.ts';
import { numberWithin } from './parsers.ts';
import { createProgress } from './progress.ts';
import { renderQuantize } from './quantize-account.ts';

interface QuantizeOptions extends SampleOptions {
  readonly to?: string;
  readonly recipe?: string;
  readonly format?: SchemeFormat;
  readonly io?: SchemeInterface;
  readonly emit?: 'c';
  readonly output: string;
  readonly ranges?: readonly string[];
  readonly saveRanges?: string;
  /** Set by `--no-mixed`; true without. */
  readonly mixed: boolean;
  readonly minSqnr?: number;
  readonly json?: boolean;
}

const EXAMPLES = `
Schemes:
  auto          measures the others here and keeps the fastest that is accurate
  int8-static   weights and activations in INT8; needs samples (best for CNNs);
                a model that is quantized already is converted, without samples
  int8-dynamic  weights in INT8, activations as they arrive (MatMul, Gemm, LSTM)
  int8-only     int8-static, or a refusal that lists what would stay in float
  int16x8       16-bit activations, for runtimes that have them; needs samples
  weight-int8   weights in 8 bits, by blocks in matrix products; no samples
  weight-int4   the same in 4 bits
  fp16          weights in 16 bits, nearly exact

Examples:
  agent quantize model.onnx --to fp16 -o model.fp16.onnx
  agent quantize model.onnx --to int8-static --samples data.npz -o small.onnx
  agent quantize package.json --to int8-dynamic -o model.onnx --json
  agent quantize m.onnx --to int8-static --ranges pi-1.json,pi-2.json -o q.onnx
  agent quantize m.onnx --recipe recipe.json --samples data.npz -o q.onnx
  agent quantize m.tflite --to int8-only --samples data.npz --emit c -o model.cc

Only auto measures. Whether another scheme makes the model faster here, and
keeps it accurate, is what \`agent bench\` and \`agent fit\` find out.

Exit codes: 0 done, 1 failed, 2 bad usage or input.`;

/** `agent quantize MODEL --to SCHEME -o FILE`. */
export function quantizeCommand(context: CliContext): Command {
  const command = new Command('quantize')
    .summary('quantize a model, nothing else')
    .description('Makes a smaller version of MODEL with one scheme.')
    .argument('<model>', 'float model file or package manifest')
    .option('--to <scheme>', [AUTO, ...schemeNames].join(', '))
    .option('--recipe <file>', 'scheme, exclusions and rules from a file, or from a --json report')
    .requiredOption('-o, --output <file>', 'file to write');
  return addSampleOptions(command)
    .option(
      '--ranges <files>',
      'calibrate with saved ranges, a list of files is merged; no samples needed',
      (text) => text.split(','),
    )
    .option('--save-ranges <file>', 'keep what calibration found, for --ranges (int8-static)')
    .addOption(
      new Option('--format <form>', 'how static INT8 is written (default: qdq)').choices(
        formatNames,
      ),
    )
    .option(
      '--min-sqnr <dB>',
      'below this on calibration samples, layers are given back to float (default: 20; int8-static)',
      numberWithin({ min: -100, max: 200 }),
    )
    .option('--no-mixed', 'give no layer back to float for accuracy (int8-static)')
    .addOption(
      new Option('--io <type>', 'what goes in and out of a TFLite model in int8').choices(
        interfaceNames,
      ),
    )
    .addOption(
      new Option('--emit <form>', 'write a TFLite model as source for microcontrollers').choices([
        'c',
      ]),
    )
    .option('--json', 'print the account as JSON (edgefit/quantize/1)')
    .addHelpText('after', EXAMPLES)
    .action(async (model: string, options: QuantizeOptions) => {
      const report = await quantize(model, options, context);
      const { io } = context;
      if (options.json === true) writeJson(io, report);
      else io.stdout.write(renderQuantize(report, widthOf(io.stdout, io.env)));
    });
}

async function quantize(
  modelPath: string,
  options: QuantizeOptions,
  { io, signal, loadFit }: CliContext,
): Promise<QuantizeReport> {
  const scheme = readScheme(options);
  const forStatic = {
    ranges: '--ranges',
    saveRanges: '--save-ranges',
    observer: '--observer',
    format: '--format',
    io: '--io',
  };
  for (const [key, flag] of Object.entries(forStatic)) {
    if (mayBeStatic(scheme) || !(key in options)) continue;
    throw new UsageError(`${flag} needs --to int8-static: nothing else is calibrated that way`);
  }
  const mayMix = mayBeStatic(scheme) && scheme !== 'int8-only';
  if (!mayMix && (options.minSqnr !== undefined || !options.mixed)) {
    const flag = options.mixed ? '--min-sqnr' : '--no-mixed';
    throw new UsageError(`${flag} needs --to int8-static: nothing else gives layers back`);
  }
  const request = {
    modelPath,
    scheme,
    output: options.output,
    ranges: options.ranges ?? [],
    saveRanges: options.saveRanges,
    samples: readSamples(options),
    image: readImage(options),
    audio: readAudio(options),
    observer: options.observer,
    format: options.format,
    io: options.io,
    emit: options.emit,
    ...(options.mixed ? {} : { noMixed: true }),
    ...(options.minSqnr === undefined ? {} : { minSqnrDb: options.minSqnr }),
  };
  const { quantizeModel } = await loadFit();
  const progress = createProgress(io.stderr);
  return quantizeModel(request, { signal, progress: progress.report }).finally(progress.clear);
}

function mayBeStatic(scheme: QuantizeRequest['scheme']): boolean {
  if (typeof scheme !== 'string') return true;
  return scheme !== AUTO && schemePresets[scheme].method === 'static';
}

function readScheme({ to, recipe }: QuantizeOptions): QuantizeRequest['scheme'] {
  if (to !== undefined && recipe !== undefined) {
    throw new UsageError('give --to or --recipe, not both: a recipe names its scheme');
  }
  if (recipe !== undefined) return { recipe };
  const all = [AUTO, ...schemeNames].join(', ');
  if (to === undefined) throw new UsageError(`give --to <scheme> (${all}) or --recipe <file>`);
  if (to === AUTO || isSchemeName(to)) return to;
  throw new UsageError(`--to ${to} is no scheme: use ${all}`);
}
