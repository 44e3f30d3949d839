import type { Feeds, SessionDescription, Tensor, TensorType } from '../runtime/types.ts';
import { FitError } from './errors.ts';

/**
 * Inputs for a model without samples: good enough for timing, worthless for accuracy. Symbolic and
 * unknown dimensions become 1; floats are uniform in [-1, 1) from a fixed seed, integers are 0.
 */
export function syntheticFeeds(description: SessionDescription): Feeds {
  const random = generator();
  return Object.fromEntries(
    description.inputs.map(({ name, dtype, shape }) => {
      const dims = shape.map((dim) => (typeof dim === 'number' && dim > 0 ? dim : 1));
      const count = dims.reduce((a, b) => a * b, 1);
      return [name, { dtype, shape: dims, data: values(name, dtype, count, random) }];
    }),
  );
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
