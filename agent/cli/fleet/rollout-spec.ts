import { Option, type Command } from 'commander';
import type { RolloutSpec, RolloutSpecInput } from '../../contracts/rollout.ts';
import type { JobWindow } from '../../contracts/job.ts';
import { messageOf } from '../../util/errors.ts';
import { readNamedText } from '../../util/read.ts';
import { UsageError } from '../errors.ts';
import { numberWithin, wholeNumber } from '../parsers.ts';
import {
  parseDuration,
  parseFailureLimit,
  parseRelease,
  parseWaves,
  parseWindow,
} from './parse.ts';

/** What commander makes of the options of `rollout create` and `rollout plan`. */
export interface SpecFlags {
  readonly model?: { readonly name: string; readonly version: string };
  readonly where?: string;
  readonly waves?: number[];
  readonly canaryPerClass?: number;
  readonly soak?: number;
  readonly maxFailed?: { readonly percent: number; readonly count: number };
  readonly window?: JobWindow;
  readonly onFailed?: 'pause' | 'abort' | 'rollback';
  readonly rate?: number;
  readonly jobTime?: number;
  readonly precision?: 'auto' | 'int8' | 'fp16' | 'fp32';
  readonly maxP90Ms?: number;
  readonly maxAccuracyDrop?: number;
  readonly calibration?: 'package' | 'recorded';
  readonly probe?: number;
  readonly jitter?: number;
  readonly maxP90Ratio?: number;
  readonly maxCelsiusRise?: number;
  /** False for --no-late-joiners. */
  readonly lateJoiners: boolean;
}

const MAX_RATE = 60_000;
const POINTS = 100;

export function specOptions(command: Command): Command {
  command
    .option('--model <name@version>', 'the release, such as kws@2.1.0', parseRelease)
    .option('--where <selector>', "which devices: 'class=rpi-5 and tag=site-a' (default: all)")
    .option(
      '--waves <list>',
      'devices by the end of each wave (default: 1%,10%,50%,100%)',
      parseWaves,
    )
    .option(
      '--canary-per-class <n>',
      'devices of each hardware class before all others (default: 1)',
      wholeNumber({ max: 100 }),
    )
    .option('--soak <time>', 'wait after each wave, such as 30m (default: 30m)', parseDuration)
    .option(
      '--max-failed <p%/n>',
      'stop when both are reached in a wave (default: 5%/10)',
      parseFailureLimit,
    )
    .addOption(
      new Option('--on-failed <what>', 'then (default: pause)').choices([
        'pause',
        'abort',
        'rollback',
      ]),
    )
    .option(
      '--window <time>',
      'when devices may be disturbed: 02:00-05:00, by their clock',
      parseWindow,
    );
  return moreOptions(command);
}

function moreOptions(command: Command): Command {
  return command
    .option(
      '--rate <n>',
      'jobs handed out per minute (default: 1000)',
      wholeNumber({ min: 1, max: MAX_RATE }),
    )
    .option('--job-time <time>', 'how long a job waits for a device (default: 7d)', parseDuration)
    .addOption(
      new Option('--precision <name>', 'what devices may choose (default: auto)').choices([
        'auto',
        'int8',
        'fp16',
        'fp32',
      ]),
    )
    .option(
      '--max-p90-ms <ms>',
      'on each device: limit of the 90th percentile',
      numberWithin({ above: 0 }),
    )
    .option(
      '--max-accuracy-drop <points>',
      'on each device: points of the task metric that may be lost',
      numberWithin({ min: 0, max: POINTS }),
    )
    .addOption(
      new Option('--calibration <what>', "the package's samples, or inputs recorded there").choices(
        ['package', 'recorded'],
      ),
    )
    .option('--probe <time>', 'how long a device watches the new model', parseDuration)
    .option('--jitter <time>', 'each device waits up to so long', parseDuration)
    .option(
      '--max-p90-ratio <x>',
      'of a wave: median of p90 after / before (default: 1.5)',
      numberWithin({ above: 0 }),
    )
    .option(
      '--max-celsius-rise <n>',
      'of a wave: median of the temperature (default: 15)',
      numberWithin({ above: 0 }),
    )
    .option('--no-late-joiners', 'devices that appear later do not join');
}

/** What the options say, in the words of the contract; only what was given. */
export function specOfFlags(flags: SpecFlags): Partial<RolloutSpecInput> {
  const policy = {
    ...given('precision', flags.precision),
    ...given('maxP90Ms', flags.maxP90Ms),
    ...given('calibration', flags.calibration),
    ...(flags.maxAccuracyDrop === undefined
      ? {}
      : { maxAccuracyDrop: flags.maxAccuracyDrop / POINTS }),
  };
  const compare = {
    ...given('maxP90Ratio', flags.maxP90Ratio),
    ...given('maxCelsiusRise', flags.maxCelsiusRise),
  };
  return {
    ...given('model', flags.model),
    ...given('where', flags.where),
    ...given('waves', flags.waves),
    ...given('canaryPerClass', flags.canaryPerClass),
    ...given('soakSeconds', flags.soak),
    ...given('maxFailed', flags.maxFailed),
    ...given('window', flags.window),
    ...given('onFailed', flags.onFailed),
    ...given('ratePerMinute', flags.rate),
    ...given('jobSeconds', flags.jobTime),
    ...given('probeSeconds', flags.probe),
    ...given('jitterSeconds', flags.jitter),
    ...(flags.lateJoiners ? {} : { lateJoiners: false }),
    ...(Object.keys(policy).length === 0 ? {} : { policy }),
    ...(Object.keys(compare).length === 0 ? {} : { compare }),
  };
}

function given<Key extends string, T>(key: Key, value: T | undefined): Partial<Record<Key, T>> {
  const part: Partial<Record<Key, T>> = {};
  if (value !== undefined) part[key] = value;
  return part;
}

/**
 * The rollout as asked for: a file of YAML or JSON, and options that replace what it says. Throws
 * UsageError with file, line and column.
 */
export async function readSpec(
  file: string | undefined,
  flags: SpecFlags,
): Promise<RolloutSpecInput> {
  const fromFlags = specOfFlags(flags);
  if (file !== undefined) return readSpecFile(file, fromFlags);
  if (fromFlags.model === undefined) {
    throw new UsageError('which release? give --model NAME@VERSION or a file');
  }
  return checkSpec(fromFlags, (path, message) => `${optionOf(path)}: ${message}`);
}

async function readSpecFile(
  file: string,
  fromFlags: Partial<RolloutSpecInput>,
): Promise<RolloutSpecInput> {
  const text = await readNamedText(file);
  const { parseYaml } = await import('../../config/yaml-text.ts');
  const { value, locate } = parseYaml(text, file);
  const place = (path: readonly (string | number)[], message: string) => {
    const { line, column } = locate(path);
    return `${file}:${line}:${column}: ${path.length === 0 ? '' : `${path.join('.')}: `}${message}`;
  };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UsageError(place([], 'it holds no keys such as model: and waves:'));
  }
  return checkSpec(withFlags(withRelease(value, place), fromFlags), place);
}

/** `model: kws@2.1.0`, as the option takes it, means name and version. Throws UsageError. */
function withRelease(value: object, place: Place): object {
  const model: unknown = 'model' in value ? value.model : undefined;
  if (typeof model !== 'string') return value;
  try {
    return { ...value, model: parseRelease(model) };
  } catch (error) {
    throw new UsageError(place(['model'], lowerFirst(messageOf(error))), { cause: error });
  }
}

/** A rollout as it is kept, with what options replace of it. Throws UsageError. */
export async function changedSpec(spec: RolloutSpec, flags: SpecFlags): Promise<RolloutSpecInput> {
  const whole = withFlags(spec, specOfFlags(flags));
  return checkSpec(whole, (path, message) => `${optionOf(path)}: ${message}`);
}

/** Options replace single values: what else a group of them says stays. */
function withFlags(spec: object, fromFlags: Partial<RolloutSpecInput>): object {
  const whole: Record<string, unknown> = { ...spec, ...fromFlags };
  for (const key of ['policy', 'compare'] as const) {
    const before = Object.entries(spec).find(([name]) => name === key)?.[1];
    const own = fromFlags[key];
    if (isRecord(before) && own !== undefined) whole[key] = { ...before, ...own };
  }
  return whole;
}

type Place = (path: readonly (string | number)[], message: string) => string;

async function checkSpec(value: object, place: Place): Promise<RolloutSpecInput> {
  const { rolloutSpecSchema } = await import('../../contracts/rollout.ts');
  const { nearestWord } = await import('../../util/nearest.ts');
  const parsed = rolloutSpecSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const path = (issue?.path ?? []).map((step) =>
      typeof step === 'symbol' ? String(step) : step,
    );
    throw new UsageError(place(path, lowerFirst(issue?.message ?? 'it cannot be used')));
  }
  const unknown = unknownKey(value, parsed.data, []);
  if (unknown !== null) {
    const key = String(unknown.path.at(-1));
    const near = nearestWord(key, unknown.known);
    const hint = near === null ? `known are ${unknown.known.join(', ')}` : `did you mean ${near}?`;
    throw new UsageError(place(unknown.path, `there is no such key; ${hint}`));
  }
  await checkTexts(parsed.data, place);
  return parsed.data;
}

/** What has a language of its own: the controller would refuse it later, without the place. */
async function checkTexts({ where, window }: RolloutSpec, place: Place): Promise<void> {
  const { parseSelector } = await import('../../fleet/rollouts/selector.ts');
  const { checkWindow } = await import('../../fleet/jobs/window.ts');
  const checks = [
    ['where', () => void parseSelector(where)],
    ['window', () => window !== undefined && checkWindow(window)],
  ] as const;
  for (const [key, check] of checks) {
    try {
      check();
    } catch (error) {
      throw new UsageError(place([key], messageOf(error)), { cause: error });
    }
  }
}

/** A schema drops keys that it does not know: the first one that is gone. A mistyped key must be told. */
function unknownKey(
  value: unknown,
  parsed: unknown,
  path: readonly (string | number)[],
): { readonly path: readonly (string | number)[]; readonly known: readonly string[] } | null {
  if (!isRecord(value) || !isRecord(parsed)) return null;
  for (const [key, inner] of Object.entries(value)) {
    if (!Object.hasOwn(parsed, key))
      return { path: [...path, key], known: knownKeys(path, parsed) };
    const below = unknownKey(inner, parsed[key], [...path, key]);
    if (below !== null) return below;
  }
  return null;
}

/** Keys without a default are in no parsed document. */
const OPTIONAL_KEYS: Readonly<Record<string, readonly string[]>> = {
  '': ['window', 'policy', 'probeSeconds', 'jitterSeconds'],
  model: ['releaseCounter', 'manifestSha256'],
  compare: ['maxAccuracyDrop'],
  policy: ['maxAccuracyDrop', 'minSqnrDb', 'maxP90Ms', 'maxRssBytes', 'maxCelsius'],
  window: ['timeZone'],
};

function knownKeys(path: readonly (string | number)[], parsed: object): readonly string[] {
  return [...new Set([...Object.keys(parsed), ...(OPTIONAL_KEYS[path.join('.')] ?? [])])];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The option that a key of the contract comes from, for messages. */
function optionOf(path: readonly (string | number)[]): string {
  const names: Readonly<Record<string, string>> = {
    model: '--model',
    where: '--where',
    waves: '--waves',
    soakSeconds: '--soak',
    jobSeconds: '--job-time',
    probeSeconds: '--probe',
    jitterSeconds: '--jitter',
  };
  return names[String(path[0])] ?? path.join('.');
}

function lowerFirst(text: string): string {
  return `${text.slice(0, 1).toLowerCase()}${text.slice(1)}`;
}
