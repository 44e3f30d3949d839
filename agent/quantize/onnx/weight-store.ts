import type { Scheme } from '../../contracts/scheme.ts';
import type { GraphEdit } from '../../model/onnx/edit.ts';
import type { GraphProto, NodeProto, TensorProto } from '../../model/onnx/generated/messages.ts';
import { namelessNode } from '../../model/onnx/graph.ts';
import { DataType, floatData, makeTensor } from '../../model/onnx/tensor.ts';
import {
  channelMaxima,
  channelView,
  quantizeChannels,
  roundHalfEven,
  symmetricParams,
} from '../arithmetic.ts';
import type { ChannelView } from '../arithmetic.ts';
import { quantizeBlocks } from './blocks.ts';
import type { BlockShape } from './blocks.ts';

/** Names of an initializer of integers, of its scales and of its zero points. */
type Names = readonly [values: string, scale: string, zeroPoint: string];

/** The integer weights of one graph. Weights that several nodes read are stored once. */
export class WeightStore {
  private readonly edit: GraphEdit;
  private readonly unique: (wish: string) => string;
  private readonly scheme: Scheme;
  private readonly stored = new Map<string, Names>();
  private readonly vectors = new Map<string, string>();
  /** By the name of float weights: what makes them of integers when the model is loaded. */
  private readonly decoders = new Map<string, readonly NodeProto[]>();

  constructor(edit: GraphEdit, unique: (wish: string) => string, scheme: Scheme) {
    this.edit = edit;
    this.unique = unique;
    this.scheme = scheme;
  }

  /** The weights of a product as [K, N], with one scale a column; `transposed` ones are [N, K]. */
  matrix(tensor: TensorProto, transposed: boolean): Names {
    return this.once(tensor, transposed ? 'transposed' : 'plain', () => {
      const [rows = 0, columns = 0] = tensor.dims;
      const floats = floatData(tensor);
      const values = transposed ? transpose(floats, rows, columns) : floats;
      const dims = transposed ? [columns, rows] : tensor.dims;
      const { perChannel } = this.scheme;
      const all = { outer: 1, channels: 1, inner: values.length };
      const made = this.integers(values, perChannel ? channelView(dims, 1) : all);
      return { ...made, dims, scaleDims: perChannel ? [made.scales.length] : [] };
    });
  }

  /** The weights of an LSTM, [directions, gate rows, inputs], with the last two axes changed over. */
  gates(tensor: TensorProto): Names {
    return this.once(tensor, 'gates', () => {
      const [directions = 1, gates = 0, inputs = 0] = tensor.dims;
      const floats = floatData(tensor);
      const data = new Int8Array(floats.length);
      const scales = new Float32Array(directions * gates);
      for (let d = 0; d < directions; d++) {
        const start = d * gates * inputs;
        const part = transpose(floats.subarray(start, start + gates * inputs), gates, inputs);
        const made = this.integers(part, channelView([inputs, gates], 1));
        data.set(made.data, start);
        scales.set(made.scales, d * gates);
      }
      const dims = [directions, inputs, gates];
      return { data, scales, dims, scaleDims: [directions, gates] };
    });
  }

  /** Whether nothing was made of anything. */
  isEmpty(): boolean {
    return this.stored.size === 0 && this.decoders.size === 0;
  }

  /**
   * The weights of a product in blocks along K, each with a scale of its own, as
   * com.microsoft.MatMulNBits takes them: [N, blocks, bytes]. 8 bits need no zero points.
   */
  blocks(tensor: TensorProto, transposed: boolean, shape: BlockShape): readonly string[] {
    const names = this.once(tensor, `blocks ${transposed}`, () => {
      const [rows = 0, columns = 0] = tensor.dims;
      const floats = floatData(tensor);
      const byColumn = transposed ? floats : transpose(floats, rows, columns);
      const [count, depth] = transposed ? [rows, columns] : [columns, rows];
      const made = quantizeBlocks(byColumn, count, depth, shape);
      const { blocks, bytes } = made;
      return {
        ...made,
        dataType: DataType.UINT8,
        dims: [count, blocks, bytes],
        scaleDims: [count, blocks],
        zeroDims: [made.zeroPoints.length],
      };
    });
    return shape.bits === 8 ? names.slice(0, 2) : names;
  }

  /**
   * Stores float weights as int8, one scale along `axes`, for a kernel that computes in float. Cast
   * and Mul make floats of them again, which onnxruntime does once, when it loads the model; a
   * DequantizeLinear would run with every inference.
   */
  compress(tensor: TensorProto, axes: readonly number[]): void {
    const name = tensor.name ?? '';
    if (this.decoders.has(name)) return;
    const { dims } = tensor;
    const scaleDims = dims.map((dim, axis) => (axes.includes(axis) ? dim : 1));
    const values = floatData(tensor);
    const groups = groupIndex(dims, axes);
    const scales = Float32Array.from(
      maximaOf(values, groups, elements(scaleDims)),
      (largest) => symmetricParams(largest, 's8').scale,
    );
    const data = Int8Array.from(values, (value, i) =>
      Math.max(-127, Math.min(127, roundHalfEven(value / (scales[groups[i] ?? 0] ?? 1)))),
    );
    const named = (part: string) => this.unique(`${name}_${part}`);
    const [stored, scale, float] = [named('int8'), named('scale'), named('float')];
    this.add(makeTensor(stored, DataType.INT8, dims, data));
    this.add(makeTensor(scale, DataType.FLOAT, scaleDims, scales));
    this.decoders.set(name, [
      namelessNode('Cast', [stored], [float], { to: BigInt(DataType.FLOAT) }),
      namelessNode('Mul', [float, scale], [name]),
    ]);
  }

  /** Puts the decoders of compressed weights in front of the graph, in place of the weights. */
  decode(graph: GraphProto): GraphProto {
    if (this.decoders.size === 0) return graph;
    return {
      ...graph,
      initializer: graph.initializer.filter(({ name }) => !this.decoders.has(name ?? '')),
      node: [...[...this.decoders.values()].flat(), ...graph.node],
    };
  }

  /** A bias of one value, or of one row, as a vector. */
  vector(tensor: TensorProto, width: number): string {
    const key = `${tensor.name} ${width}`;
    const known = this.vectors.get(key);
    if (known !== undefined) return known;
    const values = floatData(tensor);
    const [only = 0] = values;
    const row = values.length === width ? values : new Float32Array(width).fill(only);
    const name = this.unique(`${tensor.name}_row`);
    this.vectors.set(key, name);
    this.add(makeTensor(name, DataType.FLOAT, [width], row));
    return name;
  }

  private integers(values: Float32Array, view: ChannelView) {
    const scales = Float32Array.from(
      channelMaxima(values, view),
      (largest) => symmetricParams(largest, 's8', this.scheme.reduceRange).scale,
    );
    return { data: quantizeChannels(values, view, scales), scales };
  }

  private once(tensor: TensorProto, layout: string, make: () => Made): Names {
    const stem = tensor.name ?? 'weight';
    const key = `${stem} ${layout}`;
    const known = this.stored.get(key);
    if (known !== undefined) return known;
    const made = make();
    const { dataType = DataType.INT8, zeroDims = made.scaleDims } = made;
    const zeroPoints = made.zeroPoints ?? new Int8Array(made.scales.length);
    const named = (part: string) => this.unique(`${stem}_${part}`);
    const names: Names = [named('integers'), named('scale'), named('zero_point')];
    this.stored.set(key, names);
    this.add(makeTensor(names[0], dataType, made.dims, made.data));
    this.add(makeTensor(names[1], DataType.FLOAT, made.scaleDims, made.scales));
    this.add(makeTensor(names[2], dataType, zeroDims, zeroPoints));
    return names;
  }

  private add(tensor: TensorProto): void {
    this.edit.initializers.set(tensor.name ?? '', tensor);
  }
}

interface Made {
  /** int8 unless said otherwise. */
  readonly dataType?: number;
  readonly data: Int8Array | Uint8Array;
  readonly dims: readonly number[];
  readonly scales: Float32Array;
  readonly scaleDims: readonly number[];
  /** Zeros, of the shape of the scales, unless said otherwise. */
  readonly zeroPoints?: Uint8Array;
  readonly zeroDims?: readonly number[];
}

const elements = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);

/** For every element of a tensor, its place in the tensor that keeps only `axes`. */
function groupIndex(dims: readonly number[], axes: readonly number[]): Int32Array {
  const index = new Int32Array(elements(dims));
  let stride = 1;
  let inner = 1;
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    const dim = dims[axis] ?? 1;
    if (axes.includes(axis)) {
      for (let i = 0; i < index.length; i++) {
        index[i] = (index[i] ?? 0) + (Math.floor(i / inner) % dim) * stride;
      }
      stride *= dim;
    }
    inner *= dim;
  }
  return index;
}

function maximaOf(values: Float32Array, groups: Int32Array, count: number): Float64Array {
  const maxima = new Float64Array(count);
  values.forEach((value, i) => {
    const group = groups[i] ?? 0;
    maxima[group] = Math.max(maxima[group] ?? 0, Math.abs(value));
  });
  return maxima;
}

function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) result[c * rows + r] = values[r * columns + c] ?? 0;
  }
  return result;
}
