import { readFileSync } from 'node:fs';
import { openTflite } from '../../../agent/model/tflite/open.ts';
import type { TfliteModel } from '../../../agent/model/tflite/types.ts';
import { QuantizeError } from '../../../agent/quantize/errors.ts';
import { RuntimeFailure } from '../../../agent/runtime/errors.ts';
import type { Feeds, Tensor, TensorDescription } from '../../../agent/runtime/types.ts';
import { floats, randomTensor, randoms } from '../support.ts';
import { runAll, withSession } from './support.ts';

/* Models from anywhere, with made-up samples. */

export const openModel = (path: string): TfliteModel => openTflite(readFileSync(path));

const REFUSALS: ReadonlySet<string> = new Set([
  'ALREADY_QUANTIZED',
  'NOTHING_TO_QUANTIZE',
  'NOT_INTEGER',
]);

/** The model, or undefined where it is refused in words. */
export function made(make: () => TfliteModel): TfliteModel | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof QuantizeError && REFUSALS.has(error.code)) return undefined;
    throw error;
  }
}

/** A random sample; undefined where the library itself cannot run the model with one. */
export async function sampleFor(model: TfliteModel): Promise<Feeds | undefined> {
  const next = randoms(17);
  try {
    const { inputs } = await withSession(model, 'plain', async (session) => session.describe());
    const places = slicePlaces(model);
    const feeds = Object.fromEntries(
      inputs.map((one) => [one.name, places.get(one.name) ?? randomInput(one, next)]),
    );
    await runAll(model, [feeds], 'plain');
    return feeds;
  } catch (error) {
    if (error instanceof RuntimeFailure) return undefined;
    throw error;
  }
}

/**
 * Where SLICE begins and how much it takes, for inputs that say so. Its kernel reads one number per
 * axis of what it slices, also behind the end of a shorter input: the declared size of an open one is 1.
 */
function slicePlaces({ subgraphs: [graph] }: TfliteModel): ReadonlyMap<string, Tensor> {
  const slices = graph!.operators.filter(({ op }) => op === 'SLICE');
  return new Map(
    slices.flatMap(({ inputs: [sliced = -1, ...places] }) => {
      const axes = graph!.tensors[sliced]!.shape.length;
      return places
        .filter((at) => graph!.inputs.includes(at))
        .map((at, i): [string, Tensor] => [
          graph!.tensors[at]!.name,
          { dtype: 'int32', shape: [axes], data: new Int32Array(axes).fill(i) },
        ]);
    }),
  );
}

function randomInput({ dtype, shape: open }: TensorDescription, next: () => number): Tensor {
  const shape = open.map((size) => (typeof size === 'number' ? size : 1));
  const random = randomTensor(next, shape);
  if (dtype === 'bool') return { dtype, shape, data: Uint8Array.from(floats(random.data), Number) };
  if (dtype === 'int32')
    return { dtype, shape, data: Int32Array.from(floats(random.data), () => 0) };
  return random;
}
