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

/**
 * Collects the nodes and initializers of a graph in QDQ form, in the order they are asked for. They
 * get short names (`s12`) and share zero points: in small models, names weigh as much as weights.
 */
export class QdqParts {
  readonly initializers: TensorProto[] = [];
  readonly nodes: NodeProto[] = [];
  private readonly unique: (wish: string) => string;
  private readonly zeroPoints = new Map<string, string>();
  private count = 0;

  constructor(unique: (wish: string) => string) {
    this.unique = unique;
  }

  /** A new name: the prefix and a number. */
  name(prefix: string): string {
    return this.unique(`${prefix}${this.count++}`);
  }

  /** from -> QuantizeLinear -> DequantizeLinear -> to */
  roundTrip(from: string, to: string, { type, scale, zeroPoint }: QuantParams): void {
    const scaleName = this.name('s');
    this.initializers.push(floatTensor(scaleName, scale));
    const zero = this.zeroPoint(TENSOR_TYPE[type], zeroValue(type, zeroPoint), []);
    const quantized = this.name('q');
    this.add('QuantizeLinear', [from, scaleName, zero], quantized);
    this.add('DequantizeLinear', [quantized, scaleName, zero], to);
  }

  /** Adds integers and a DequantizeLinear behind them; returns the name of what it makes. */
  dequantized({ tensor, scales, axis }: Stored): string {
    const vector = axis !== undefined;
    const scale = floatTensor(this.name('s'), vector ? scales : (scales[0] ?? 1));
    this.initializers.push(tensor, scale);
    const names = [tensor.name ?? '', scale.name ?? ''];
    // An int32 bias may go without: its zero point is 0 by definition, and no kernel reads it.
    if (tensor.dataType === DataType.INT8) {
      const dims = vector ? [scales.length] : [];
      names.push(this.zeroPoint(DataType.INT8, new Int8Array(scales.length), dims));
    }
    const output = this.name('d');
    this.add('DequantizeLinear', names, output, axis);
    return output;
  }

  /** One initializer for all zero points that are alike. */
  private zeroPoint(dataType: number, data: ArrayBufferView, dims: readonly number[]): string {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');
    const key = `${dataType} ${dims.join()} ${bytes}`;
    const known = this.zeroPoints.get(key);
    if (known !== undefined) return known;
    const name = this.name('z');
    this.zeroPoints.set(key, name);
    this.initializers.push(makeTensor(name, dataType, dims, data));
    return name;
  }

  private add(op: string, input: readonly string[], output: string, axis?: number): void {
    const attributes = axis === undefined ? {} : { axis: BigInt(axis) };
    this.nodes.push({ ...makeNode(op, input, [output], { attributes }), name: undefined });
  }
}

function zeroValue(type: QuantType, value: number): ArrayBufferView {
  if (type === 'u8') return Uint8Array.of(value);
  return type === 's8' ? Int8Array.of(value) : Int16Array.of(value);
}
