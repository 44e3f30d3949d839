import type { Scheme } from '../../contracts/scheme.ts';
import type { GraphEdit } from '../../model/onnx/edit.ts';
import type { TensorProto } from '../../model/onnx/generated/messages.ts';
import { DataType, floatData, makeTensor } from '../../model/onnx/tensor.ts';
import { channelMaxima, channelView, quantizeChannels, symmetricParams } from '../arithmetic.ts';
import type { ChannelView } from '../arithmetic.ts';

/** Names of an initializer of int8, of its scales and of its zero points. */
type Names = readonly [values: string, scale: string, zeroPoint: string];

/** The int8 weights of one graph. Weights that several nodes read are stored once. */
export class WeightStore {
  private readonly edit: GraphEdit;
  private readonly unique: (wish: string) => string;
  private readonly scheme: Scheme;
  private readonly stored = new Map<string, Names>();
  private readonly vectors = new Map<string, string>();

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
    const { data, dims, scales, scaleDims } = make();
    const named = (part: string) => this.unique(`${stem}_${part}`);
    const names: Names = [named('int8'), named('scale'), named('zero_point')];
    this.stored.set(key, names);
    this.add(makeTensor(names[0], DataType.INT8, dims, data));
    this.add(makeTensor(names[1], DataType.FLOAT, scaleDims, scales));
    this.add(makeTensor(names[2], DataType.INT8, scaleDims, new Int8Array(scales.length)));
    return names;
  }

  private add(tensor: TensorProto): void {
    this.edit.initializers.set(tensor.name ?? '', tensor);
  }
}

interface Made {
  readonly data: Int8Array;
  readonly dims: readonly number[];
  readonly scales: Float32Array;
  readonly scaleDims: readonly number[];
}

function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) result[c * rows + r] = values[r * columns + c] ?? 0;
  }
  return result;
}
