import type { OnnxModel } from '../../../../agent/model/onnx/open.ts';
import type { Tensor } from '../../../../agent/runtime/types.ts';
import { tinyModel } from '../../../support/onnx-models.ts';
import type { TinyModel } from '../../../support/onnx-models.ts';
import { randomTensor, randomValues, randoms, sizeOf, weights } from '../../support.ts';

/* Models over one small image x, and values for them. */

const next = randoms(21);

export const IMAGE = [1, 3, 6, 6] as const;
export const x: Tensor = randomTensor(next, IMAGE, 2);

export const tensor = (name: string, ...dims: readonly number[]) =>
  weights(name, dims, randomValues(next, sizeOf(dims)));

/** Between 0.5 and 2.5. */
export const positive = (name: string, ...dims: readonly number[]) =>
  weights(
    name,
    dims,
    randomValues(next, sizeOf(dims)).map((value) => value + 1.5),
  );

/** x -> ... -> y, unless told. */
export function imageModel(rest: Partial<TinyModel> & Pick<TinyModel, 'nodes'>): OnnxModel {
  return tinyModel({ inputs: { x: [1, IMAGE] }, outputs: { y: [1] }, ...rest });
}
