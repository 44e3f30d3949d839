import { compact } from '../../../model/tflite/compact.ts';
import { densify } from '../../../model/tflite/densify.ts';
import type { TfliteGraph, TfliteModel } from '../../../model/tflite/types.ts';
import { foldConstants } from './fold.ts';
import { foldPads } from './fold-pads.ts';
import { recompose } from './recompose.ts';
import { withoutIdlePadding } from './valid-padding.ts';

export interface PrepareOptions {
  /**
   * Takes the first size of each input, where the file leaves it open, as the one that it declares.
   * Shapes computed from it become constants. Such a model can run with that batch only, but fast:
   * TFLite hands no graph to XNNPACK in which a shape is computed.
   */
  readonly fixBatch?: boolean;
}

/**
 * The same function, without what stands in the way of quantizing: float16 weights are decoded once,
 * sparse ones unpacked, what only depends on constants is computed, activations that a converter took
 * apart are put together, zeros around the input of a convolution are left to it, what nobody reads is
 * dropped. Constants go inside the flatbuffer, where every runtime finds them.
 * int8 weights stay as they are stored (stored-weights.ts).
 * @throws ModelError when sparse weights cannot be unpacked
 */
export function prepareTflite(
  model: TfliteModel,
  { fixBatch = false }: PrepareOptions = {},
): TfliteModel {
  const subgraphs = model.subgraphs.map((graph, index) => {
    const dense = { ...graph, tensors: graph.tensors.map(densify) };
    const known = foldConstants(dense, { isMain: index === 0, fixBatch });
    const folded = withoutIdlePadding(foldPads(recompose(known)));
    return fixBatch && index === 0 ? withoutOpenBatch(folded) : folded;
  });
  return compact({ ...model, subgraphs, constantsOutside: false });
}

/** Other open sizes than the batch stay open. */
function withoutOpenBatch(graph: TfliteGraph): TfliteGraph {
  const tensors = graph.tensors.map((tensor) => {
    const { shapeSignature, ...rest } = tensor;
    return shapeSignature?.some((size, axis) => size < 0 && axis > 0) === true ? tensor : rest;
  });
  return { ...graph, tensors };
}
