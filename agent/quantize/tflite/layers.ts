import { indexGraph } from '../../model/tflite/graph.ts';
import { uniqueTensorNames } from '../../model/tflite/tensor-names.ts';
import type { TfliteGraph, TfliteModel, TfliteOperator } from '../../model/tflite/types.ts';
import { layerKey } from '../../model/statistics.ts';
import type { LayerInput, LayerWindow } from '../../model/statistics.ts';
import { OP_TABLE } from './op-table.ts';

/** The layers whose weights adaptive rounding would like to know the inputs of. */
export function layersToSample({ subgraphs: [graph] }: TfliteModel): readonly LayerInput[] {
  if (graph === undefined) return [];
  const { constants } = indexGraph(graph);
  const names = uniqueTensorNames(graph);
  const layers = new Map<string, LayerInput>();
  for (const operator of graph.operators) {
    const [x = -1, w = -1] = operator.inputs;
    const weights = constants.get(w);
    if (weights?.type !== 'FLOAT32' || constants.has(x)) continue;
    const key = layerKey(names[x] ?? '', names[w] ?? '');
    const shape = shapeOf(graph, operator, weights.shape);
    if (shape !== undefined) layers.set(key, { key, tensor: names[x] ?? '', ...shape });
  }
  return [...layers.values()];
}

type Shape = Pick<LayerInput, 'size' | 'groups' | 'window'>;

/** Undefined for what has no weights with a scale per output channel. */
function shapeOf(
  graph: TfliteGraph,
  operator: TfliteOperator,
  dims: readonly number[],
): Shape | undefined {
  if (operator.op === 'FULLY_CONNECTED') return { size: dims[1] ?? 0, groups: 1 };
  if (OP_TABLE.get(operator.op)?.weights?.perChannel !== true) return undefined;
  const [count = 1, height = 1, width = 1, seen = 1] = dims;
  const window = windowOf(operator, [height, width]);
  if (window === undefined || count === 0) return undefined;
  const channels = graph.tensors[operator.inputs[0] ?? -1]?.shape.at(-1) ?? 0;
  const isDepthwise = operator.op === 'DEPTHWISE_CONV_2D';
  const size = height * width * (isDepthwise ? 1 : seen);
  return { size, groups: isDepthwise ? channels : 1, window };
}

function windowOf({ options }: TfliteOperator, kernel: readonly number[]): LayerWindow | undefined {
  if (options?.kind !== 'Conv2DOptions' && options?.kind !== 'DepthwiseConv2DOptions') {
    return undefined;
  }
  return {
    kernel,
    strides: [options.strideH, options.strideW],
    dilations: [options.dilationHFactor, options.dilationWFactor],
    pads: [0, 0],
    padsAtEnd: [0, 0],
    ...(options.padding === 'SAME' && { same: 'upper' }),
    channelsLast: true,
  };
}
