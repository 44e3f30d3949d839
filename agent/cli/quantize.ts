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
import { bytesText, threeDigits, timesText } from '../fit/report/words.ts';
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
import { hang } from './text.ts';

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

/** What was written, what it cost, and what stayed float, one line per reason. */
export function renderQuantize(report: QuantizeReport, width: number): string {
  const { bytes, floatBytes, integerCoverage, ops } = report;
  const smaller = bytes < floatBytes ? `, ${timesText(floatBytes / bytes)} smaller` : '';
  const made = report.made === undefined ? report.scheme : `auto: ${report.made}`;
  const lines = [
    ...hang('Wrote     ', `${report.output} (${made})`, width),
    ...foundLines(report, width),
    ...candidateLines(report, width),
    `Size      ${bytesText(bytes)}, was ${bytesText(floatBytes)}${smaller}`,
    `Took      ${threeDigits(report.seconds)} s, peak memory ${bytesText(report.peakRssBytes)}`,
    `Nodes     ${ops.integer} integer, ${ops.fp16} fp16, ${ops.float} float`,
    ...(integerCoverage === null
      ? []
      : [`Integer   ${(integerCoverage * 100).toFixed(1)}% of the multiply-accumulates`]),
    ...accuracyLines(report, width),
    ...leftLines(report, width),
    ...(report.warnings ?? []).flatMap((text) => hang('Warning   ', text, width)),
  ];
  return `${lines.join('\n')}\n`;
}

/** Of static versions: the others are not run on samples. */
function accuracyLines({ sqnrDb }: QuantizeReport, width: number): readonly string[] {
  if (sqnrDb === undefined) return [];
  const close = sqnrDb === null ? 'the outputs are the same' : `SQNR ${sqnrDb.toFixed(1)} dB`;
  return hang('Accuracy  ', `${close} against float, on a few calibration samples`, width);
}

/** What was found in a model that was quantized before, and what was done about it. */
function foundLines({ found }: QuantizeReport, width: number): readonly string[] {
  if (found === undefined) return [];
  const { kind, changes } = found;
  const what = changes.length === 0 ? 'kept as it is' : `converted: ${changes.join('; ')}`;
  return hang('Found     ', `already quantized (${kind}), ${what}`, width);
}

/** What `--to auto` compared, one line each. */
function candidateLines({ candidates = [] }: QuantizeReport, width: number): readonly string[] {
  return candidates.flatMap(({ id, reason }, index) =>
    hang((index === 0 ? 'Compared' : '').padEnd(10), `${id}: ${reason}`, width),
  );
}

/** More are for --json. */
const MOST_REASONS = 12;

/** What stayed float, the commonest reason first; which tensor it was about is left to --json. */
function leftLines({ left }: QuantizeReport, width: number): readonly string[] {
  const counts = new Map<string, number>();
  for (const { op, reason } of left) {
    const text = `${op}: ${reason.replaceAll(/ '[^']*'/g, '')}`;
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  const sorted = [...counts].toSorted(([, a], [, b]) => b - a);
  const texts = sorted.slice(0, MOST_REASONS).map(([text, count]) => `${count} ${text}`);
  const rest = sorted.slice(MOST_REASONS).reduce((sum, [, count]) => sum + count, 0);
  if (rest > 0) texts.push(`${rest} more: --json lists them`);
  return texts.flatMap((text, index) =>
    hang((index === 0 ? 'In float' : '').padEnd(10), text, width),
  );
}
