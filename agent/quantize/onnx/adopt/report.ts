import type { GraphProto, NodeProto } from '../../../model/onnx/generated/messages.ts';
import { indexGraph, nodeLabel, opName, subgraphsOf } from '../../../model/onnx/graph.ts';
import type { OpReport } from '../../report.ts';
import { isDequantize, isQuantize } from './params.ts';
import { whyNotInteger } from './units.ts';

/** Operators that compute on integers by themselves, and those that make integers as they go. */
const INTEGER =
  /^(com\.microsoft\.)?(QLinear\w+|QGemm|QAttention|DynamicQuantize\w+|(MatMul|Conv)Integer\w*|MatMulNBits|QMoE)$/;

/** What becomes of every operation of an already quantized model; Q and DQ themselves are no work. */
export function reportAdopted(graph: GraphProto): OpReport[] {
  const index = indexGraph(graph);
  return graph.node.filter(isWork).flatMap((node) => {
    const bodies = subgraphsOf(node).flatMap((body) => reportAdopted(body));
    return [row(node, index), ...bodies];
  });
}

function isWork(node: NodeProto): boolean {
  return !isQuantize(node) && !isDequantize(node) && opName(node) !== 'Constant';
}

function row(node: NodeProto, index: ReturnType<typeof indexGraph>): OpReport {
  const about = { node: nodeLabel(node), op: opName(node) };
  const integers = index.producer.get(node.input[0] ?? '');
  // Moves bytes that a QuantizeLinear or another such op has made.
  const movesIntegers = isOnIntegers(integers, index);
  if (INTEGER.test(opName(node)) || movesIntegers) return { ...about, precision: 'integer' };
  const reason = whyNotInteger(node, index);
  return reason === undefined
    ? { ...about, precision: 'integer' }
    : { ...about, precision: 'float', reason };
}

const MOVERS =
  /^(MaxPool|Reshape|Transpose|Squeeze|Unsqueeze|Flatten|Slice|Resize|DepthToSpace|Clip)$/;

function isOnIntegers(start: NodeProto | undefined, index: ReturnType<typeof indexGraph>): boolean {
  let maker = start;
  while (maker !== undefined && MOVERS.test(opName(maker))) {
    maker = index.producer.get(maker.input[0] ?? '');
  }
  return isQuantize(maker) || (maker !== undefined && /QLinear|QGemm/.test(opName(maker)));
}
