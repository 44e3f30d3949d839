import { isNumericType, newArray } from '../../agent/runtime/element-arrays.ts';
import type { Feeds, Runtime, Tensor, TensorType } from '../../agent/runtime/types.ts';

function zeros(dtype: TensorType, shape: readonly number[]): Tensor {
  const size = shape.reduce((product, length) => product * length, 1);
  if (!isNumericType(dtype)) throw new Error(`no zeros of type ${dtype}`);
  return { dtype, shape, data: newArray(dtype, size) };
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
