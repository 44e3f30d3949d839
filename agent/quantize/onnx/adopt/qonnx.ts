import { applyEdit, newEdit } from '../../../model/onnx/edit.ts';
import type { NodeProto, TensorProto } from '../../../model/onnx/generated/messages.ts';
import { allNodes, indexGraph, namelessNode, opName } from '../../../model/onnx/graph.ts';
import { withGraph } from '../../../model/onnx/open.ts';
import type { OnnxModel } from '../../../model/onnx/open.ts';
import { DataType } from '../../../model/onnx/tensor.ts';
import { roundHalfEven } from '../../arithmetic.ts';
import { INTEGER_RANGE, quantizeConstant } from './params.ts';
import type { LinearParams } from './params.ts';
import { readQuant, refused, scalesOf } from './quant-node.ts';
import type { Quant } from './quant-node.ts';
import { LinearWriter, integerTensor } from './writer.ts';

/** Domains under which the same nodes travel. */
const QUANT =
  /^(qonnx\.custom_op\.general|onnx\.brevitas|finn\.custom_op\.general)\.(Bipolar)?Quant$/;
/** Nodes of research tools that have no counterpart in the standard. */
const FOREIGN = /^(qonnx|onnx\.brevitas|finn)\b.*\./;

/**
 * QONNX (Pappalardo et al. 2022, "Representing Arbitrary-Precision Quantized Neural Networks"):
 * Quant nodes become QuantizeLinear and DequantizeLinear. 8-bit integers hold the values of every
 * narrower width exactly; activations keep their narrower ends by a Clip on the integers.
 * @param model constants are initializers, opset 13 or later
 * @throws QuantizeError for what 8-bit integers cannot hold
 */
export function fromQonnx(model: OnnxModel, activations: 'u8' | 's8'): OnnxModel {
  const { graph } = model;
  const index = indexGraph(graph);
  const writer = new LinearWriter(graph);
  const edit = newEdit();
  const type = activations === 'u8' ? DataType.UINT8 : DataType.INT8;
  for (const node of graph.node) {
    if (!QUANT.test(opName(node))) continue;
    const quant = readQuant(node, index);
    const constant = index.initializers.get(node.input[0] ?? '');
    const made =
      constant === undefined
        ? activationNodes(quant, type, writer)
        : [constantNode(constant, quant, writer)];
    edit.replace.set(node, made);
  }
  for (const tensor of writer.initializers) edit.initializers.set(tensor.name ?? '', tensor);
  return withoutForeign(withGraph(model, applyEdit(graph, edit)));
}

/** QuantizeLinear, Clip where the width is narrower than the type, DequantizeLinear. */
function activationNodes(quant: Quant, type: number, writer: LinearWriter): readonly NodeProto[] {
  const { node, min, max } = quant;
  const [input = ''] = node.input;
  const [output = ''] = node.output;
  if (quant.rounding !== 'ROUND') {
    const how = quant.rounding === undefined ? 'keeps signs only' : `rounds by ${quant.rounding}`;
    throw refused(node, `it ${how}; integer kernels round half to even`);
  }
  const [lowest, highest] = INTEGER_RANGE.get(type) ?? [0, 0];
  // The lower ends meet, so that the type itself saturates there.
  const shift = lowest - min;
  const scales = scalesOf(quant);
  const zeroPoints = scales.zeroPoints.map((zeroPoint) => zeroPoint + shift);
  if (zeroPoints.some((zeroPoint) => zeroPoint < lowest || zeroPoint > highest)) {
    throw refused(node, 'its zero point lies outside of its integers');
  }
  const params: LinearParams = { ...scales, zeroPoints, dataType: type };
  const integers = writer.unique(`${output}_integers`);
  const quantize = writer.quantize(input, integers, params);
  if (max + shift === highest) return [quantize, writer.dequantize(integers, output, params)];
  const bound = writer.unique(`${output}_max`);
  writer.initializers.push(integerTensor(bound, type, [], [max + shift]));
  const clipped = writer.unique(`${output}_clipped`);
  return [
    quantize,
    namelessNode('Clip', [integers, '', bound], [clipped]),
    writer.dequantize(clipped, output, params),
  ];
}

const ROUNDINGS: ReadonlyMap<string, (value: number) => number> = new Map([
  ['ROUND', roundHalfEven],
  ['CEIL', Math.ceil],
  ['FLOOR', Math.floor],
  ['ROUND_TO_ZERO', Math.trunc],
]);

/** Constants are rounded here and now, by whatever rule they ask for. */
function constantNode(tensor: TensorProto, quant: Quant, writer: LinearWriter): NodeProto {
  const [output = ''] = quant.node.output;
  if (tensor.dataType !== DataType.FLOAT) throw refused(quant.node, 'its constant is not float32');
  const dataType = quant.min < 0 ? DataType.INT8 : DataType.UINT8;
  const { axis, ...rest } = scalesOf(quant);
  const from = axis === undefined ? undefined : axis + tensor.dims.length;
  const params: LinearParams = { ...rest, axis: from, dataType };
  const round =
    quant.rounding === undefined
      ? (value: number) => (value < 0 ? -1 : 1)
      : ROUNDINGS.get(quant.rounding);
  if (round === undefined) throw refused(quant.node, `it rounds by ${quant.rounding ?? ''}`);
  const { values } = quantizeConstant(tensor, params, round);
  const clipped = Int32Array.from(values, (q) => Math.min(Math.max(q, quant.min), quant.max));
  return writer.stored(output, output, { dims: tensor.dims, values: clipped, params });
}

/** Without the domains that nothing needs any more. */
function withoutForeign(model: OnnxModel): OnnxModel {
  for (const node of allNodes(model.graph)) {
    if (!FOREIGN.test(opName(node))) continue;
    const advice = 'export the float model, or one with Quant nodes (QONNX) alone';
    throw refused(node, `onnxruntime has no such operator: ${advice}`);
  }
  const used = new Set([...allNodes(model.graph)].map(({ domain = '' }) => domain));
  const opsetImport = model.proto.opsetImport.filter(
    ({ domain = '' }) => used.has(domain) || !FOREIGN.test(`${domain}.`),
  );
  return withGraph({ ...model, proto: { ...model.proto, opsetImport } }, model.graph);
}
