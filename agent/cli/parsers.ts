import { InvalidArgumentError } from 'commander';
import type { RuntimeName } from '../contracts/facts.ts';
import type { PrecisionChoice } from '../fit/types.ts';

/**
 * Names that options take. They repeat those of the contracts, whose schemas cost more time to load
 * than `--help` may take; a test keeps them equal.
 */
export const precisionChoices = [
  'int8',
  'int8-static',
  'int8-dynamic',
  'fp16',
  'fp32',
] as const satisfies readonly PrecisionChoice[];
export const runtimeChoices = [
  'onnxruntime',
  'tflite',
  'tensorrt',
] as const satisfies readonly RuntimeName[];

export const MAX_THREADS = 256;
const MAX_IMAGE_SIDE = 16_384;
const MAX_MIN_TIME_SECONDS = 3600;
const MAX_COOL_DOWN_SECONDS = 3600;

/** Splits at commas and blanks; refuses an empty list. */
function items(text: string): readonly string[] {
  const found = text.split(/[\s,]+/).filter((item) => item !== '');
  if (found.length === 0) throw new InvalidArgumentError('The list is empty.');
  return found;
}

/** Any names, such as of users. */
export function listOf(text: string): readonly string[] {
  return items(text);
}

/** A list of names out of `allowed`. */
export function namesFrom<T extends string>(allowed: readonly T[]): (text: string) => readonly T[] {
  return (text) =>
    items(text).map((item) => {
      const name = allowed.find((one) => one === item.toLowerCase());
      if (name === undefined) {
        throw new InvalidArgumentError(`"${item}" is none of: ${allowed.join(', ')}.`);
      }
      return name;
    });
}

/** Number() takes "", "0x10" and "1e3"; only plain decimals are meant here. */
function decimal(text: string): number {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)$/.test(text)) {
    throw new InvalidArgumentError(`"${text}" is not a number.`);
  }
  return Number(text);
}

export interface Bounds {
  readonly min?: number;
  readonly max?: number;
  /** The smallest value itself is refused. */
  readonly above?: number;
}

export function numberWithin({ min, max, above }: Bounds): (text: string) => number {
  return (text) => {
    const value = decimal(text);
    if (min !== undefined && value < min)
      throw new InvalidArgumentError(`It must be at least ${min}.`);
    if (above !== undefined && value <= above) {
      throw new InvalidArgumentError(`It must be more than ${above}.`);
    }
    if (max !== undefined && value > max)
      throw new InvalidArgumentError(`It must be at most ${max}.`);
    return value;
  };
}

/** A count: no sign, no fraction. */
export function wholeNumber({
  min = 0,
  max = Number.MAX_SAFE_INTEGER,
}: Pick<Bounds, 'min' | 'max'>): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (/^\d+$/.test(text) && count >= min && count <= max) return count;
    const upTo = max === Number.MAX_SAFE_INTEGER ? 'up' : `to ${max}`;
    throw new InvalidArgumentError(`It must be a whole number from ${min} ${upTo}.`);
  };
}

export const parseCoolDown = numberWithin({ above: 0, max: MAX_COOL_DOWN_SECONDS });

export const parseMinTime = numberWithin({ above: 0, max: MAX_MIN_TIME_SECONDS });

/** Thread counts: `1,2,4`. */
export function parseThreads(text: string): readonly number[] {
  return items(text).map((item) => {
    const count = Number(item);
    if (!/^\d+$/.test(item) || count < 1 || count > MAX_THREADS) {
      throw new InvalidArgumentError(`"${item}" is not a whole number from 1 to ${MAX_THREADS}.`);
    }
    return count;
  });
}

/** One number for all channels, or one per channel. */
export function parseChannels(text: string): readonly number[] {
  const values = items(text).map(decimal);
  if (values.length > 4) throw new InvalidArgumentError('Give one number, or one per channel.');
  return values;
}

export function parseDeviations(text: string): readonly number[] {
  const values = parseChannels(text);
  if (values.includes(0)) throw new InvalidArgumentError('Pixels are divided by it: not 0.');
  return values;
}

/** Options by their names. */
export type DelegatePairs = Readonly<Record<string, string>>;

/** One more `key=value`, for an option that may be given several times. */
export function addPair(text: string, before: DelegatePairs = {}): DelegatePairs {
  const [, key, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (key === undefined || value === undefined) {
    throw new InvalidArgumentError('Use KEY=VALUE, such as device=usb:0.');
  }
  if (Object.hasOwn(before, key)) throw new InvalidArgumentError(`"${key}" is given twice.`);
  return { ...before, [key]: value };
}

/** `224x224` (width x height), or `224` for a square. */
export function parseImageSize(text: string): { readonly width: number; readonly height: number } {
  const [, first = '', second = first] = /^(\d+)(?:x(\d+))?$/i.exec(text) ?? [];
  const size = { width: Number(first), height: Number(second) };
  const fits = [size.width, size.height].every((side) => side >= 1 && side <= MAX_IMAGE_SIDE);
  if (first === '' || !fits) throw new InvalidArgumentError('Use WIDTHxHEIGHT, such as 224x224.');
  return size;
}
