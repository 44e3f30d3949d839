import type { GraphProto, NodeProto } from '../../../model/onnx/generated/messages.ts';
import {
  floatAttribute,
  indexGraph,
  intAttribute,
  namelessNode,
  opName,
  withAttributes,
} from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import { DataType, floatData } from '../../../model/onnx/tensor.ts';
import { LinearWriter } from './writer.ts';

/** Where a QOperator keeps a tensor, its scale and its zero point. */
type Triple = readonly [tensor: number, scale: number, zeroPoint: number];

interface Form {
  /** The float op that it stands for. */
  readonly op: string;
  readonly inputs: readonly Triple[];
  /** Positions of the output's scale and zero point. */
  readonly output: readonly [scale: number, zeroPoint: number];
  /** An int32 bias, in steps of the product of the first two scales. */
  readonly bias?: number;
}

const unary = (op: string): Form => ({ op, inputs: [[0, 1, 2]], output: [3, 4] });
const binary = (op: string): Form => ({
  op,
  inputs: [
    [0, 1, 2],
    [3, 4, 5],
  ],
  output: [6, 7],
});

/** ONNX operators and onnxruntime's (docs/ContribOperators.md). */
const FORMS: ReadonlyMap<string, Form> = new Map([
  ['QLinearConv', { ...binary('Conv'), bias: 8 }],
  ['QLinearMatMul', binary('MatMul')],
  ['com.microsoft.QGemm', { ...binary('Gemm'), output: [7, 8], bias: 6 }],
  ['com.microsoft.QLinearAdd', binary('Add')],
  ['com.microsoft.QLinearMul', binary('Mul')],
  ['com.microsoft.QLinearAveragePool', unary('AveragePool')],
  ['com.microsoft.QLinearGlobalAveragePool', unary('GlobalAveragePool')],
  ['com.microsoft.QLinearLeakyRelu', unary('LeakyRelu')],
  ['com.microsoft.QLinearSigmoid', unary('Sigmoid')],
] satisfies [string, Form][]);

/**
 * Integer operators in the form DequantizeLinear, float op, QuantizeLinear, which the runtime fuses
 * back into the best that it has for this CPU. Operators without a row stay.
 */
export function expandOperators(graph: GraphProto): GraphProto {
  const index = indexGraph(graph);
  const writer = new LinearWriter(graph);
  const node = graph.node.flatMap((one) => expanded(one, index, writer) ?? [one]);
  return node.length === graph.node.length ? graph : writer.graph(graph, node);
}

/** Whether int8 activations flow through integer operators, which only ARM has fast kernels for. */
export function hasSignedOperators(graph: GraphProto): boolean {
  const index = indexGraph(graph);
  return graph.node.some((node) => {
    const form = FORMS.get(opName(node));
    const zeroPoint = index.initializers.get(node.input[form?.inputs[0]?.[2] ?? 0] ?? '');
    return form !== undefined && zeroPoint?.dataType === DataType.INT8;
  });
}

function expanded(
  node: NodeProto,
  index: GraphIndex,
  writer: LinearWriter,
): readonly NodeProto[] | undefined {
  const form = FORMS.get(opName(node));
  if (form === undefined || (intAttribute(node, 'channels_last') ?? 0) !== 0) return undefined;
  const at = (position: number) => node.input[position] ?? '';
  const before: NodeProto[] = [];
  const input: string[] = [];
  for (const [position, [tensor, scale, zeroPoint]] of form.inputs.entries()) {
    const axis = position === 1 ? weightAxis(node, form, index) : undefined;
    const attributes = axis === undefined ? {} : { axis: BigInt(axis) };
    const float = writer.unique(`${at(tensor)}_float`);
    const inputs = [at(tensor), at(scale), at(zeroPoint)];
    before.push(namelessNode('DequantizeLinear', inputs, [float], attributes));
    input.push(float);
  }
  const bias = form.bias === undefined ? '' : at(form.bias);
  if (bias !== '') {
    const dequantized = dequantizedBias(node, bias, index, writer);
    if (dequantized === undefined) return undefined;
    before.push(dequantized);
    input.push(dequantized.output[0] ?? '');
  }
  const plain = { ...withAttributes(node, { channels_last: undefined }), domain: undefined };
  const [output = ''] = node.output;
  const [scale, zeroPoint] = [at(form.output[0]), at(form.output[1])];
  // QGemm without an output scale gives float numbers.
  if (scale === '') return [...before, { ...plain, opType: form.op, input }];
  const float = writer.unique(`${output}_float`);
  return [
    ...before,
    { ...plain, opType: form.op, input, output: [float] },
    namelessNode('QuantizeLinear', [float, scale, zeroPoint], [output]),
  ];
}

/** The axis of the output channels where the second operand has one scale for each. */
function weightAxis(
  node: NodeProto,
  { op, inputs }: Form,
  { initializers }: GraphIndex,
): number | undefined {
  const scale = initializers.get(node.input[inputs[1]?.[1] ?? -1] ?? '');
  if (scale === undefined || scale.dims.reduce((a, b) => a * b, 1) === 1) return undefined;
  if (op === 'Conv') return 0;
  return op === 'Gemm' && (intAttribute(node, 'transB') ?? 0) !== 0 ? 0 : 1;
}

/** An int32 bias, in steps of the product of both scales; undefined where they are no constants. */
function dequantizedBias(
  node: NodeProto,
  bias: string,
  { initializers }: GraphIndex,
  writer: LinearWriter,
): NodeProto | undefined {
  const [x, w] = [1, 4].map((position) => initializers.get(node.input[position] ?? ''));
  if (x?.dataType !== DataType.FLOAT || w?.dataType !== DataType.FLOAT) return undefined;
  const factor = (floatData(x)[0] ?? 1) * (floatAttribute(node, 'alpha') ?? 1);
  const scales = floatData(w).map((scale) => scale * factor);
  const zeroPoints = Array<number>(scales.length).fill(0);
  const axis = scales.length === 1 ? undefined : 0;
  const params = { scales, zeroPoints, dataType: DataType.INT32, axis };
  return writer.dequantize(bias, writer.unique(`${bias}_float`), params);
}
