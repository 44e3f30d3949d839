import type { Feeds, Runtime, Tensor, TensorType } from '../../agent/runtime/types.ts';

const ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
} as const;

function zeros(dtype: TensorType, shape: readonly number[]): Tensor {
  const size = shape.reduce((product, length) => product * length, 1);
  if (!(dtype in ARRAYS)) throw new Error(`no zeros of type ${dtype}`);
  return { dtype, shape, data: new ARRAYS[dtype as keyof typeof ARRAYS](size) };
}

/** Zeros for every input of a model; dimensions that are not fixed become 1. */
export async function zeroFeeds(runtime: Runtime, modelPath: string): Promise<Feeds> {
  const options = { threads: 1, optimization: 'disabled', arena: false } as const;
  const session = await runtime.open(modelPath, options);
  const { inputs } = session.describe();
  await session.close();
  return Object.fromEntries(
    inputs.map(({ name, dtype, shape }) => {
      const fixed = shape.map((size) => (typeof size === 'number' ? size : 1));
      return [name, zeros(dtype, fixed)];
    }),
  );
}
