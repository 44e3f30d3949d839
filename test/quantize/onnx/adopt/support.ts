import type { NodeProto, TensorProto } from '../../../../agent/model/onnx/generated/messages.ts';
import { makeNode } from '../../../../agent/model/onnx/graph.ts';
import { opName } from '../../../../agent/model/onnx/graph.ts';
import type { OnnxModel } from '../../../../agent/model/onnx/open.ts';
import { DataType, floatTensor, makeTensor } from '../../../../agent/model/onnx/tensor.ts';
import type { Feeds } from '../../../../agent/runtime/types.ts';
import { floats, run, sqnr } from '../../support.ts';

export const u8 = (name: string, ...values: number[]): TensorProto =>
  makeTensor(
    name,
    DataType.UINT8,
    values.length === 1 ? [] : [values.length],
    Uint8Array.from(values),
  );

export const s8 = (name: string, ...values: number[]): TensorProto =>
  makeTensor(
    name,
    DataType.INT8,
    values.length === 1 ? [] : [values.length],
    Int8Array.from(values),
  );

/** A scale and a zero point, named after the tensor that they belong to. */
export function grid(name: string, scale: number, zeroPoint: TensorProto): TensorProto[] {
  return [floatTensor(`${name}_scale`, scale), { ...zeroPoint, name: `${name}_zero` }];
}

/** from -> QuantizeLinear -> DequantizeLinear -> to, on the grid of that name. */
export function fake(from: string, to: string, on: string, axis?: number): NodeProto[] {
  const params = [`${on}_scale`, `${on}_zero`];
  const attributes = axis === undefined ? {} : { axis: BigInt(axis) };
  return [
    makeNode('QuantizeLinear', [from, ...params], [`${to}_q`], { attributes }),
    makeNode('DequantizeLinear', [`${to}_q`, ...params], [to], { attributes }),
  ];
}

export const opsOf = ({ graph }: OnnxModel): string[] => graph.node.map(opName);

/** Signal to noise between the graph as it is written and another one as it really runs. */
export async function formChange(before: OnnxModel, after: OnnxModel, feeds: Feeds) {
  const [written, ran] = [await run(before, feeds, 'disabled'), await run(after, feeds)];
  return sqnr(floats(written['y']?.data), floats(ran['y']?.data));
}
