import type {
  Feeds,
  SessionDescription,
  Tensor,
  TensorDescription,
  TensorType,
} from '../runtime/types.ts';
import { FitError } from './errors.ts';

/** Channels, height and width of an image where the model leaves them open: what is most common. */
const IMAGE_CHANNELS = 3;
const IMAGE_SIZE = 224;
/** Steps of a sequence where the model leaves them open. */
const SEQUENCE_LENGTH = 128;

/**
 * Inputs for a model without samples: good enough for timing, worthless for accuracy. Open dimensions
 * are assumed (`assumedSizes`); floats are uniform in [-1, 1) from a fixed seed, integers are 0.
 */
export function syntheticFeeds(description: SessionDescription): Feeds {
  const random = generator();
  return Object.fromEntries(
    closedInputs(description).map(({ input: { name, dtype }, dims }) => {
      const count = dims.reduce((a, b) => a * b, 1);
      return [name, { dtype, shape: dims, data: values(name, dtype, count, random) }];
    }),
  );
}

/**
 * What `syntheticFeeds` took for dimensions that the model leaves open, one line per input. An open
 * first axis alone is not worth a line: one sample at a time is what is measured anyway.
 */
export function assumedSizes(description: SessionDescription): string[] {
  return closedInputs(description).flatMap(({ input: { name, shape }, dims }) => {
    if (!shape.some((dim, axis) => axis > 0 && isOpen(dim))) return [];
    const declared = shape.map((dim) => dim ?? '?').join(',');
    return [
      `input '${name}' is declared as [${declared}] and was timed as [${dims.join(',')}]: give --samples to time it as it is used`,
    ];
  });
}

type Dim = TensorDescription['shape'][number];

const isOpen = (dim: Dim): dim is string | null => typeof dim !== 'number' || dim <= 0;

/** Every input with a size for each axis; a symbol stands for the same size wherever it stands. */
function closedInputs({ inputs }: SessionDescription) {
  const sizes = new Map<string, number>();
  // Tokens say how long a sequence is, before a mask of four axes is taken for an image.
  for (const input of inputs.toSorted((a, b) => a.shape.length - b.shape.length)) {
    input.shape.forEach((dim, axis) => {
      const isNew = typeof dim === 'string' && !sizes.has(dim);
      if (isNew) sizes.set(dim, assumedSize(input, axis));
    });
  }
  return inputs.map((input) => {
    const dims = input.shape.map((dim, axis) => {
      if (!isOpen(dim)) return dim;
      return sizes.get(dim ?? '') ?? assumedSize(input, axis);
    });
    return { input, dims };
  });
}

/** The first axis is the batch; what the others are is told by how many there are. */
function assumedSize({ dtype, shape }: TensorDescription, axis: number): number {
  if (axis === 0) return 1;
  if (shape.length === 4 && dtype.startsWith('float')) {
    const allOpen = shape.slice(1).every(isOpen);
    return allOpen && axis === 1 ? IMAGE_CHANNELS : IMAGE_SIZE;
  }
  return shape.length === 2 || shape.length === 3 ? SEQUENCE_LENGTH : 1;
}

const INTEGERS: Partial<Record<TensorType, (count: number) => Tensor['data']>> = {
  int8: (count) => new Int8Array(count),
  uint8: (count) => new Uint8Array(count),
  int16: (count) => new Int16Array(count),
  uint16: (count) => new Uint16Array(count),
  int32: (count) => new Int32Array(count),
  uint32: (count) => new Uint32Array(count),
  int64: (count) => new BigInt64Array(count),
  uint64: (count) => new BigUint64Array(count),
  bool: (count) => new Uint8Array(count),
  float16: (count) => new Uint16Array(count),
};

function values(
  name: string,
  dtype: TensorType,
  count: number,
  random: () => number,
): Tensor['data'] {
  if (dtype === 'float32') return Float32Array.from({ length: count }, random);
  if (dtype === 'float64') return Float64Array.from({ length: count }, random);
  const make = INTEGERS[dtype];
  if (make === undefined) {
    const message = `input '${name}' is of type ${dtype}: give --samples, no value can be made up`;
    throw new FitError('bad-samples', message);
  }
  return make(count);
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
