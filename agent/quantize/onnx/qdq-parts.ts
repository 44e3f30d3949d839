import type { NodeProto, TensorProto } from '../../model/onnx/generated/messages.ts';
import { makeNode } from '../../model/onnx/graph.ts';
import { DataType, floatTensor, makeTensor } from '../../model/onnx/tensor.ts';
import type { QuantParams, QuantType } from '../arithmetic.ts';

const TENSOR_TYPE: Readonly<Record<QuantType, number>> = {
  u8: DataType.UINT8,
  s8: DataType.INT8,
  s16: DataType.INT16,
};

/** Integers with one scale, or with one along `axis`; their zero point is 0. */
export interface Stored {
  readonly tensor: TensorProto;
  readonly scales: Float32Array;
  readonly axis: number | undefined;
}

/** Collects the nodes and initializers of a graph in QDQ form, in the order they are asked for. */
export class QdqParts {
  readonly initializers: TensorProto[] = [];
  readonly nodes: NodeProto[] = [];
  readonly unique: (wish: string) => string;

  constructor(unique: (wish: string) => string) {
    this.unique = unique;
  }

  /** from -> QuantizeLinear -> DequantizeLinear -> to; new names begin with `stem`. */
  roundTrip(from: string, to: string, stem: string, params: QuantParams): void {
    const { type, scale, zeroPoint } = params;
    const names = [this.unique(`${stem}_scale`), this.unique(`${stem}_zero_point`)] as const;
    this.initializers.push(floatTensor(names[0], scale), zeroTensor(names[1], type, zeroPoint));
    const quantized = this.unique(`${stem}_quantized`);
    this.add('QuantizeLinear', [from, ...names], quantized);
    this.add('DequantizeLinear', [quantized, ...names], to);
  }

  /** Adds integers and a DequantizeLinear behind them; returns the name of what it makes. */
  dequantized({ tensor, scales, axis }: Stored): string {
    const stem = tensor.name ?? '';
    const vector = axis !== undefined;
    const scale = floatTensor(this.unique(`${stem}_scale`), vector ? scales : (scales[0] ?? 1));
    const zeros =
      tensor.dataType === DataType.INT32
        ? new Int32Array(scales.length)
        : new Int8Array(scales.length);
    const zeroName = this.unique(`${stem}_zero_point`);
    const dims = vector ? [scales.length] : [];
    const zero = makeTensor(zeroName, tensor.dataType ?? 0, dims, zeros);
    this.initializers.push(tensor, scale, zero);
    const output = this.unique(`${stem}_dequantized`);
    this.add('DequantizeLinear', [stem, scale.name ?? '', zeroName], output, axis);
    return output;
  }

  private add(op: string, input: readonly string[], output: string, axis?: number): void {
    const attributes = axis === undefined ? {} : { axis: BigInt(axis) };
    const name = this.unique(`${output}_${op}`);
    this.nodes.push(makeNode(op, input, [output], { name, attributes }));
  }
}

function zeroTensor(name: string, type: QuantType, value: number): TensorProto {
  const data =
    type === 'u8'
      ? Uint8Array.of(value)
      : type === 's8'
        ? Int8Array.of(value)
        : Int16Array.of(value);
  return makeTensor(name, TENSOR_TYPE[type], [], data);
}
