import { Option, type Command } from 'commander';
import type { InputFlags } from '../calibration/inputs.ts';
import type { ImageSpec } from '../contracts/manifest.ts';
import { observerNames, type SchemeObserver } from '../contracts/scheme.ts';
import type { RuntimeName } from '../contracts/facts.ts';
import type { BenchRequest, Optimize, PrecisionChoice, SampleSource } from '../fit/types.ts';
import { UsageError } from './errors.ts';
import {
  addPair,
  namesFrom,
  numberWithin,
  parseChannels,
  parseCoolDown,
  parseDeviations,
  parseImageSize,
  parseMinTime,
  parseThreads,
  precisionChoices,
  runtimeChoices,
} from './parsers.ts';
import type { DelegatePairs } from './parsers.ts';

/** Where samples come from and how images become inputs. */
export interface SampleOptions {
  readonly samples?: string;
  readonly samplesCommand?: string;
  readonly observer?: SchemeObserver;
  readonly imageSize?: { readonly width: number; readonly height: number };
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
  readonly color?: ImageSpec['color'];
  readonly layout?: ImageSpec['layout'];
  readonly resize?: ImageSpec['resize'];
  readonly audioRate?: number;
  readonly audioWindow?: number;
  readonly audioHop?: number;
}

/** What and how `bench` and `fit` measure. */
export interface MeasureOptions extends SampleOptions {
  readonly recorded?: string;
  readonly precision?: readonly PrecisionChoice[];
  readonly asIs?: boolean;
  readonly threads?: readonly number[];
  readonly runtime?: readonly RuntimeName[];
  readonly optimize: Optimize;
  readonly maxAccuracyDrop?: number;
  readonly minSqnr?: number;
  readonly maxP90Ms?: number;
  readonly maxRssMb?: number;
  readonly minTime: number;
  /** False for --no-cool-down. */
  readonly coolDown: number | false;
  readonly delegate?: string;
  readonly delegateOption?: DelegatePairs;
  readonly json?: boolean;
}

const DEFAULT_MIN_TIME_SECONDS = 1;
const DEFAULT_COOL_DOWN_SECONDS = 60;
const positive = numberWithin({ above: 0 });

export function addSampleOptions(command: Command): Command {
  return addInputOptions(command).addOption(
    new Option('--observer <name>', 'how ranges are taken from the samples').choices(observerNames),
  );
}

/** The same without what is for calibration only. */
export function addInputOptions(command: Command): Command {
  return command
    .option(
      '--samples <path>',
      "calibration and evaluation samples: a folder of images, .npy or .npz (default: the manifest's)",
    )
    .option('--samples-command <cmd>', 'a shell command that captures samples on this device')
    .option('--image-size <WxH>', 'size images are brought to', parseImageSize)
    .option('--mean <list>', 'subtracted from pixels, one or one per channel', parseChannels)
    .option('--std <list>', 'pixels are divided by it, one or one per channel', parseDeviations)
    .addOption(new Option('--color <order>', 'channels').choices(['rgb', 'bgr', 'gray']))
    .addOption(new Option('--layout <axes>', 'axes of an image').choices(['nchw', 'nhwc']))
    .addOption(
      new Option('--resize <how>', 'how images get their size').choices(['stretch', 'crop']),
    )
    .option('--audio-rate <Hz>', 'cut .wav files into windows at this rate', positive)
    .option('--audio-window <samples>', 'length of a window (default: the input)', positive)
    .option('--audio-hop <samples>', 'from one window to the next (default: a window)', positive);
}

export function addMeasureOptions(command: Command): Command {
  command
    .option(
      '--precision <list>',
      `only these: ${precisionChoices.join(', ')} (default: what the profile of this machine advises)`,
      namesFrom(precisionChoices),
    )
    .option('--as-is', 'measure the file itself only, quantize nothing')
    .option(
      '--threads <list>',
      'thread counts, such as 1,2,4 (default: powers of two and all cores)',
      parseThreads,
    )
    .option(
      '--runtime <list>',
      `only these: ${runtimeChoices.join(', ')} (default: the profile's)`,
      namesFrom(runtimeChoices),
    );
  command
    .option('--delegate <path>', 'TFLite: a library that takes over what it can of the model')
    .option('--delegate-option <k=v>', 'an option for it; may be given again', addPair);
  addSampleOptions(command)
    .option(
      '--recorded <dir>',
      'calibrate with what `agent calib` keeps of the application there; others still judge',
    )
    .addOption(
      new Option('--optimize <what>', 'what the best one has least of')
        .choices(['latency', 'size', 'memory'])
        .default('latency'),
    )
    .option(
      '--max-accuracy-drop <points>',
      'points of the task metric that may be lost; needs labels (default: 1)',
      numberWithin({ min: 0, max: 100 }),
    )
    .option(
      '--min-sqnr <dB>',
      'lowest SQNR against the float model (default: 20 where there are no labels)',
      numberWithin({ min: -100, max: 200 }),
    )
    .option(
      '--max-p90-ms <ms>',
      'limit of the 90th percentile; exit code 3 when the choice misses it',
      numberWithin({ above: 0 }),
    )
    .option(
      '--max-rss-mb <MB>',
      'limit of the peak memory of the process that runs the model; exit code 3 as above',
      numberWithin({ above: 0 }),
    )
    .option(
      '--min-time <seconds>',
      'measure every candidate at least this long',
      parseMinTime,
      DEFAULT_MIN_TIME_SECONDS,
    )
    .option(
      '--cool-down <seconds>',
      'how long to wait for a throttled machine to cool before a turn is taken again',
      parseCoolDown,
      DEFAULT_COOL_DOWN_SECONDS,
    )
    .option('--no-cool-down', 'never wait: mark what was measured on a throttled machine');
  return command;
}

export function readSamples(options: SampleOptions): SampleSource {
  const { samples, samplesCommand } = options;
  if (samples !== undefined && samplesCommand !== undefined) {
    throw new UsageError('give either --samples or --samples-command, not both');
  }
  return { path: samples, command: samplesCommand };
}

/** Only what was given: the manifest fills in the rest. */
export function readImage(options: SampleOptions): Partial<ImageSpec> {
  const { imageSize, mean, std, color, layout, resize } = options;
  return {
    ...imageSize,
    ...(mean === undefined ? {} : { mean: [...mean] }),
    ...(std === undefined ? {} : { std: [...std] }),
    ...(color === undefined ? {} : { color }),
    ...(layout === undefined ? {} : { layout }),
    ...(resize === undefined ? {} : { resize }),
  };
}

/** How .wav files become inputs; nothing without a rate. Throws `UsageError` on contradictions. */
export function readAudio(options: SampleOptions): InputFlags['audio'] {
  const { audioRate: rateHz, audioWindow, audioHop } = options;
  if (rateHz === undefined) {
    if (audioWindow === undefined && audioHop === undefined) return undefined;
    throw new UsageError('--audio-window and --audio-hop need --audio-rate');
  }
  return {
    rateHz,
    ...(audioWindow === undefined ? {} : { windowSamples: audioWindow }),
    ...(audioHop === undefined ? {} : { hopSamples: audioHop }),
  };
}

function readDelegate({
  delegate: path,
  delegateOption: pairs = {},
}: MeasureOptions): Pick<BenchRequest, 'delegate'> {
  if (path !== undefined) return { delegate: { path, options: pairs } };
  if (Object.keys(pairs).length > 0) throw new UsageError('--delegate-option needs --delegate');
  return {};
}

/** What was asked for, as the measuring part takes it. Throws `UsageError` on contradictions. */
export function readBenchRequest(modelPath: string, options: MeasureOptions): BenchRequest {
  if (options.asIs === true && options.precision !== undefined) {
    throw new UsageError('--as-is measures the file itself only: leave out --precision');
  }
  return {
    modelPath,
    plan: {
      precisions: options.precision,
      threads: options.threads,
      runtimes: options.runtime,
      asIs: options.asIs === true,
    },
    samples: { ...readSamples(options), recorded: options.recorded },
    image: readImage(options),
    audio: readAudio(options),
    objective: {
      optimize: options.optimize,
      maxAccuracyDrop: options.maxAccuracyDrop ?? null,
      minSqnrDb: options.minSqnr ?? null,
      maxP90Ms: options.maxP90Ms ?? null,
      ...(options.maxRssMb === undefined ? {} : { maxRssBytes: options.maxRssMb * 1e6 }),
    },
    observer: options.observer,
    ...readDelegate(options),
    minTimeSeconds: options.minTime,
    coolDownSeconds: options.coolDown === false ? null : options.coolDown,
  };
}
