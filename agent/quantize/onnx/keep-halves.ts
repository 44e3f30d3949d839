import type { GraphProto, NodeProto, TensorProto } from '../../model/onnx/generated/messages.ts';
import { mapGraphs, nameMaker, namelessNode } from '../../model/onnx/graph.ts';
import { withGraph } from '../../model/onnx/open.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import { DataType, elementCount, floatData } from '../../model/onnx/tensor.ts';
import { float16ToNumber } from '../../model/small-floats.ts';
import { halfBits, halfTensor } from './fp16/half.ts';
import { hasWeights } from './prepare/one-float.ts';

/** Fewer values are not worth a node. */
const MIN_ELEMENTS = 512;

/**
 * A model made of a float16 one computes in float32, so what was not quantized would take twice the
 * bytes. Constants that float16 holds exactly are stored so, behind a Cast that onnxruntime folds when
 * it loads the model. `made` as it is where `source` has no float16 weights.
 */
export function keepHalves(source: OnnxModel, made: OnnxModel): OnnxModel {
  if (!hasWeights(source.graph, new Set([DataType.FLOAT16]))) return made;
  const unique = nameMaker(made.graph);
  return withGraph(
    made,
    mapGraphs(made.graph, (graph) => storeHalves(graph, unique)),
  );
}

function storeHalves(graph: GraphProto, unique: (wish: string) => string): GraphProto {
  // A constant that is an input, too, may be given another value.
  const fixed = new Set([...graph.input, ...graph.output].map(({ name }) => name));
  const casts: NodeProto[] = [];
  const initializer = graph.initializer.map((tensor) => {
    const { name = '' } = tensor;
    if (fixed.has(name) || !isOfHalves(tensor)) return tensor;
    const half = unique(`${name}_half`);
    casts.push(namelessNode('Cast', [half], [name], { to: BigInt(DataType.FLOAT) }));
    return halfTensor(tensor, half).tensor;
  });
  return casts.length === 0 ? graph : { ...graph, initializer, node: [...casts, ...graph.node] };
}

/** Whether float16 holds each value as it is; most tensors of other models fail at their first one. */
function isOfHalves(tensor: TensorProto): boolean {
  if (tensor.dataType !== DataType.FLOAT || elementCount(tensor.dims) < MIN_ELEMENTS) return false;
  const values = floatData(tensor);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return values.every((value, at) => Object.is(float16ToNumber(halfBits(bits[at] ?? 0)), value));
}
