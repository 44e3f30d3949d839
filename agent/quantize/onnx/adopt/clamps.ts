import { applyEdit, newEdit } from '../../../model/onnx/edit.ts';
import type { GraphProto, NodeProto } from '../../../model/onnx/generated/messages.ts';
import { floatAttribute, indexGraph, namelessNode, opName } from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import { DataType, tensorNumbers } from '../../../model/onnx/tensor.ts';
import { roundHalfEven } from '../../arithmetic.ts';
import { INTEGER_RANGE, isOnlyRead, isQuantize, isScalar, paramsOf } from './params.ts';
import type { LinearParams } from './params.ts';
import { hasIntegerKernel } from './units.ts';
import { LinearWriter, integerTensor } from './writer.ts';

/** Relu and Clip before a QuantizeLinear that saturates at their bounds anyway. */
export function dropClamps(graph: GraphProto): GraphProto {
  const index = indexGraph(graph);
  const edit = newEdit();
  for (const node of graph.node) {
    const [input = ''] = node.input;
    const [output = ''] = node.output;
    const readers = index.consumers.get(output) ?? [];
    const bounds = boundsOf(node, index);
    if (bounds === undefined || readers.length === 0 || index.outputs.has(output)) continue;
    if (!readers.every((reader) => isQuantize(reader) && isWithin(reader, bounds, index))) continue;
    edit.replace.set(node, []);
    edit.rename.set(output, input);
  }
  return applyEdit(graph, edit);
}

/**
 * Relu and Clip between an op with an integer kernel and a QuantizeLinear that reaches further than
 * they do (int8 with zero point 0, as TensorRT trains it): the same bounds on the integers instead.
 * Rounding keeps the order of numbers, so both ways give the same integers.
 */
export function integerClamps(graph: GraphProto): GraphProto {
  const index = indexGraph(graph);
  const writer = new LinearWriter(graph);
  const edit = newEdit();
  for (const node of graph.node) {
    const [output = ''] = node.output;
    const quantize = index.consumers.get(output)?.[0];
    const bounds = boundsOf(node, index);
    if (bounds === undefined || !isQuantize(quantize) || !isBetween(node, index)) continue;
    const params = paramsOf(quantize, index);
    if (params === undefined || !isScalar(params) || !INTEGER_RANGE.has(params.dataType)) continue;
    if (isWithin(quantize, bounds, index)) continue;
    const integers = writer.unique(`${output}_integers`);
    const input = [node.input[0] ?? '', ...quantize.input.slice(1)];
    const ends = integerEnds(bounds, params, writer);
    edit.replace.set(node, [{ ...quantize, input, output: [integers] }]);
    edit.replace.set(quantize, [namelessNode('Clip', [integers, ...ends], quantize.output)]);
  }
  for (const tensor of writer.initializers) edit.initializers.set(tensor.name ?? '', tensor);
  return applyEdit(graph, edit);
}

/** Between an op with an integer kernel and one reader. */
function isBetween(node: NodeProto, index: GraphIndex): boolean {
  const maker = index.producer.get(node.input[0] ?? '');
  if (maker === undefined || !hasIntegerKernel(maker, index)) return false;
  return isOnlyRead(node.input[0] ?? '', index) && isOnlyRead(node.output[0] ?? '', index);
}

/** The bounds as integer constants, as Clip takes them; none where the type ends there. */
function integerEnds({ min, max }: Bounds, params: LinearParams, writer: LinearWriter): string[] {
  const [lowest, highest] = INTEGER_RANGE.get(params.dataType) ?? [0, 0];
  const [scale = 1] = params.scales;
  const [zeroPoint = 0] = params.zeroPoints;
  const end = (value: number, own: number) => {
    const q = roundHalfEven(Math.fround(value / scale)) + zeroPoint;
    const clamped = Math.min(Math.max(q, lowest), highest);
    if (clamped === own) return '';
    const name = writer.unique('bound');
    writer.initializers.push(integerTensor(name, params.dataType, [], [clamped]));
    return name;
  };
  const [low, high] = [end(min, lowest), end(max, highest)];
  return high === '' ? [low] : [low, high];
}

interface Bounds {
  readonly min: number;
  readonly max: number;
}

function boundsOf(node: NodeProto, index: GraphIndex): Bounds | undefined {
  if (opName(node) === 'Relu') return { min: 0, max: Infinity };
  if (opName(node) !== 'Clip') return undefined;
  const bound = (position: number, attribute: string, none: number) => {
    const name = node.input[position] ?? '';
    if (name === '') return floatAttribute(node, attribute) ?? none;
    const tensor = index.initializers.get(name);
    return tensor?.dataType === DataType.FLOAT ? (tensorNumbers(tensor)[0] ?? NaN) : NaN;
  };
  const [min, max] = [bound(1, 'min', -Infinity), bound(2, 'max', Infinity)];
  return Number.isNaN(min) || Number.isNaN(max) ? undefined : { min, max };
}

/** Whether all that the integers can stand for lies between the bounds. */
function isWithin(quantize: NodeProto, { min, max }: Bounds, index: GraphIndex): boolean {
  const params = paramsOf(quantize, index);
  const range = INTEGER_RANGE.get(params?.dataType ?? 0);
  if (params === undefined || range === undefined || !isScalar(params)) return false;
  const [scale = 1] = params.scales;
  const [zeroPoint = 0] = params.zeroPoints;
  return (range[0] - zeroPoint) * scale >= min && (range[1] - zeroPoint) * scale <= max;
}
