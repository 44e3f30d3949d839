import type {
  Feeds,
  SessionDescription,
  Tensor,
  TensorDescription,
  TensorType,
} from '../../runtime/types.ts';
import { FitError } from '../errors.ts';

/** Channels of an image where the model leaves all of its axes open. */
const IMAGE_CHANNELS = 3;

/** What is taken for dimensions that a model leaves open. */
export interface Guess {
  /** Height and width of an image. */
  readonly image: number;
  /** Steps of a sequence. */
  readonly steps: number;
  /** The open axis in the middle of three is the batch, as in the states of recurrent layers. */
  readonly batchInMiddle: boolean;
}

/** What is most common comes first; the last but one is a second of sound. */
const SIZES: readonly Pick<Guess, 'image' | 'steps'>[] = [
  { image: 224, steps: 128 },
  { image: 256, steps: 512 },
  { image: 640, steps: 16_000 },
  { image: 32, steps: 1 },
];
const GUESSES: readonly Guess[] = SIZES.flatMap((sizes) =>
  [false, true].map((batchInMiddle) => ({ ...sizes, batchInMiddle })),
);
const USUAL: Guess = { image: 224, steps: 128, batchInMiddle: false };

/** Longer sequences are waves: attention over so many steps would take all memory. */
const MOST_STEPS_OF_FEATURES = 512;

/** Guesses worth a try, the usual one first: those that differ for this model. */
export function guessesFor(description: SessionDescription): readonly Guess[] {
  const known = new Set<string>();
  return GUESSES.filter((guess) => {
    const key = closedInputs(description, guess)
      .map(({ dims }) => dims.join())
      .join(';');
    const isNew = !known.has(key);
    known.add(key);
    return isNew;
  });
}

/** Whether made-up inputs may fail where the model is sound: open sizes, or numbers that mean something. */
export function mayMissGuess(description: SessionDescription): boolean {
  return guessesFor(description).length > 1 || description.inputs.some(isWhole);
}

const isWhole = ({ dtype }: TensorDescription) => !dtype.startsWith('float');

/**
 * Inputs for a model without samples: good enough for timing, worthless for accuracy. Open dimensions
 * are assumed (`Guess`); floats are uniform in [-1, 1) from a fixed seed, integers are 0 but for
 * masks, lengths and sampling rates, as far as names say so.
 */
export function syntheticFeeds(description: SessionDescription, guess: Guess = USUAL): Feeds {
  const random = generator();
  return Object.fromEntries(
    closedInputs(description, guess).map(({ input: { name, dtype }, dims }) => {
      const count = dims.reduce((a, b) => a * b, 1);
      const whole = wholeNumber(name, guess);
      return [name, { dtype, shape: dims, data: values({ name, dtype, count, whole }, random) }];
    }),
  );
}

/** What an integer input is filled with. */
function wholeNumber(name: string, { steps }: Guess): number {
  if (/mask/i.test(name)) return 1;
  if (/(^|_)(sr|sample_?rate|sampling_?rate)$/i.test(name)) return 16_000;
  return /(^|_)len(gth)?s?$/i.test(name) ? steps : 0;
}

/**
 * What `syntheticFeeds` took for dimensions that the model leaves open, one line per input. An open
 * first axis alone is not worth a line: one sample at a time is what is measured anyway.
 */
export function assumedSizes(description: SessionDescription, guess: Guess = USUAL): string[] {
  return closedInputs(description, guess).flatMap(({ input: { name, shape }, dims }) => {
    if (!shape.some((dim, axis) => axis > 0 && isOpen(dim))) return [];
    const declared = shape.map((dim) => dim ?? '?').join(',');
    return [
      `input '${name}' is declared as [${declared}] and was timed as [${dims.join(',')}]: give --samples to time it as it is used`,
    ];
  });
}

type Dim = TensorDescription['shape'][number];

/** A size of 0 is one: an empty state, say, of which runtimes take no other. */
const isOpen = (dim: Dim): dim is string | null => typeof dim !== 'number' || dim < 0;

/** Every input with a size for each axis; a symbol stands for the same size wherever it stands. */
function closedInputs({ inputs }: SessionDescription, guess: Guess) {
  const sizes = new Map<string, number>();
  // Tokens say how long a sequence is, before a mask of four axes is taken for an image.
  for (const input of inputs.toSorted((a, b) => a.shape.length - b.shape.length)) {
    input.shape.forEach((dim, axis) => {
      const isNew = typeof dim === 'string' && !sizes.has(dim);
      if (isNew) sizes.set(dim, assumedSize(input, axis, guess));
    });
  }
  return inputs.map((input) => {
    const dims = input.shape.map((dim, axis) => {
      if (!isOpen(dim)) return dim;
      return sizes.get(dim ?? '') ?? assumedSize(input, axis, guess);
    });
    return { input, dims };
  });
}

/** The first axis is the batch; what the others are is told by how many there are. */
function assumedSize({ dtype, shape }: TensorDescription, axis: number, guess: Guess): number {
  if (axis === 0) return 1;
  const isFloat = dtype.startsWith('float');
  if (shape.length === 4 && isFloat) {
    const allOpen = shape.slice(1).every(isOpen);
    return allOpen && axis === 1 ? IMAGE_CHANNELS : guess.image;
  }
  if (shape.length !== 2 && shape.length !== 3) return 1;
  if (shape.length === 3 && axis === 1 && guess.batchInMiddle) return 1;
  const isWave = isFloat && axis === shape.length - 1;
  return isWave ? guess.steps : Math.min(guess.steps, MOST_STEPS_OF_FEATURES);
}

const INTEGERS: Partial<Record<TensorType, (count: number, value: number) => Tensor['data']>> = {
  int8: (count, value) => new Int8Array(count).fill(value),
  uint8: (count, value) => new Uint8Array(count).fill(value),
  int16: (count, value) => new Int16Array(count).fill(value),
  uint16: (count, value) => new Uint16Array(count).fill(value),
  int32: (count, value) => new Int32Array(count).fill(value),
  uint32: (count, value) => new Uint32Array(count).fill(value),
  int64: (count, value) => new BigInt64Array(count).fill(BigInt(value)),
  uint64: (count, value) => new BigUint64Array(count).fill(BigInt(value)),
  bool: (count, value) => new Uint8Array(count).fill(value === 0 ? 0 : 1),
  float16: (count) => new Uint16Array(count),
};

function values(
  input: {
    readonly name: string;
    readonly dtype: TensorType;
    readonly count: number;
    readonly whole: number;
  },
  random: () => number,
): Tensor['data'] {
  const { name, dtype, count, whole } = input;
  if (dtype === 'float32') return Float32Array.from({ length: count }, random);
  if (dtype === 'float64') return Float64Array.from({ length: count }, random);
  const make = INTEGERS[dtype];
  if (make === undefined) {
    const message = `input '${name}' is of type ${dtype}: give --samples, no value can be made up`;
    throw new FitError('bad-samples', message);
  }
  return make(count, whole);
}

/** xorshift32 (Marsaglia 2003), mapped to [-1, 1). */
function generator(): () => number {
  let state = 0x2545f491;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 31 - 1;
  };
}
