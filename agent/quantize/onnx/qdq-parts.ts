import type { NodeProto, TensorProto } from '../../model/onnx/generated/messages.ts';
import { MS_DOMAIN, namelessNode } from '../../model/onnx/graph.ts';
import { DataType, floatTensor, int64Tensor, makeTensor } from '../../model/onnx/tensor.ts';
import type { QuantParams, QuantType } from '../arithmetic.ts';

const TENSOR_TYPE: Readonly<Record<QuantType, number>> = {
  u8: DataType.UINT8,
  s8: DataType.INT8,
  s16: DataType.INT16,
};

/** Integers with one scale, or with one along `axis`; their zero point is 0. */
export interface Stored {
  readonly dataType: number;
  readonly dims: readonly number[];
  readonly values: Int8Array | Int32Array;
  readonly scales: Float32Array;
  readonly axis: number | undefined;
}

/**
 * Collects the nodes and initializers of a graph in QDQ form. They get short names (`s12`) and share
 * their zero points: in small models, names weigh as much as weights.
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

  /** A new name. */
  short(prefix: string): string {
    return this.unique(`${prefix}${this.count++}`);
  }

  add(op: string, input: readonly string[], output: string, axis?: number): void {
    const attributes = axis === undefined ? {} : { axis: BigInt(axis) };
    this.nodes.push(namelessNode(op, input, [output], attributes));
  }

  /**
   * from -> QuantizeLinear -> `between`, on bytes -> DequantizeLinear -> to.
   * @returns the name of the bytes
   */
  roundTrip(
    from: string,
    to: string,
    { type, scale, zeroPoint }: QuantParams,
    between: (bytes: string) => string = (bytes) => bytes,
  ): string {
    const scaleName = this.scale(scale);
    const zeroName = this.zeroPoint(TENSOR_TYPE[type], zeroOf(type, zeroPoint), []);
    const quantized = this.short('q');
    // The standard operators know 16 bits from opset 21 on; onnxruntime's own always did.
    const domain = type === 's16' ? { domain: MS_DOMAIN } : {};
    const add = (op: string, input: string, output: string) =>
      this.nodes.push({ ...namelessNode(op, [input, scaleName, zeroName], [output]), ...domain });
    add('QuantizeLinear', from, quantized);
    const bytes = between(quantized);
    add('DequantizeLinear', bytes, to);
    return bytes;
  }

  /** A DequantizeLinear of its own for bytes; returns the name of what it makes. */
  dequantizedBytes(
    bytes: string,
    { type, scale, zeroPoint }: QuantParams,
    output = this.short('d'),
  ): string {
    const zeroName = this.zeroPoint(TENSOR_TYPE[type], zeroOf(type, zeroPoint), []);
    const node = namelessNode('DequantizeLinear', [bytes, this.scale(scale), zeroName], [output]);
    // As in a round trip.
    this.nodes.push(type === 's16' ? { ...node, domain: MS_DOMAIN } : node);
    return output;
  }

  /** The same bytes, channels last, seen as [N, ...sizes] (0: as it is), and channels second again. */
  reshapedPixels(bytes: string, sizes: readonly number[]): string {
    const rank = sizes.length + 1;
    const spatial = sizes.slice(1).map((_, i) => i);
    const shape = this.short('n');
    this.initializers.push(int64Tensor(shape, [0, ...sizes]));
    const last = this.transposed(bytes, [0, ...spatial.map((i) => i + 2), 1]);
    const seen = this.short('q');
    this.nodes.push(namelessNode('Reshape', [last, shape], [seen]));
    return this.transposed(seen, [0, rank - 1, ...spatial.map((i) => i + 1)]);
  }

  private transposed(from: string, perm: readonly number[]): string {
    const output = this.short('q');
    this.nodes.push(namelessNode('Transpose', [from], [output], { perm: perm.map(BigInt) }));
    return output;
  }

  /** Adds integers and a DequantizeLinear behind them; returns the name of what it makes. */
  dequantized({ dataType, dims, values, scales, axis }: Stored): string {
    const isWeight = dataType === DataType.INT8;
    const stored = this.short(isWeight ? 'w' : 'b');
    this.initializers.push(makeTensor(stored, dataType, dims, values));
    const vector = axis !== undefined;
    const input = [stored, this.scale(vector ? scales : (scales[0] ?? 1))];
    // An int32 bias may go without: its zero point is 0 by definition, and no kernel reads it.
    if (isWeight) {
      const zeros = new Int8Array(scales.length);
      input.push(this.zeroPoint(dataType, zeros, vector ? [scales.length] : []));
    }
    const output = this.short('d');
    this.add('DequantizeLinear', input, output, axis);
    return output;
  }

  private scale(values: number | Float32Array): string {
    const name = this.short('s');
    this.initializers.push(floatTensor(name, values));
    return name;
  }

  /** One initializer for all zero points that are alike. */
  private zeroPoint(dataType: number, data: ArrayBufferView, dims: readonly number[]): string {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');
    const key = `${dataType} ${dims.join()} ${bytes}`;
    const known = this.zeroPoints.get(key);
    if (known !== undefined) return known;
    const name = this.short('z');
    this.zeroPoints.set(key, name);
    this.initializers.push(makeTensor(name, dataType, dims, data));
    return name;
  }
}

function zeroOf(type: QuantType, value: number): ArrayBufferView {
  if (type === 'u8') return Uint8Array.of(value);
  return type === 's8' ? Int8Array.of(value) : Int16Array.of(value);
}
