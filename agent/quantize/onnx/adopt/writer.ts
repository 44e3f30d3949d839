import type { GraphProto, NodeProto, TensorProto } from '../../../model/onnx/generated/messages.ts';
import { nameMaker, namelessNode } from '../../../model/onnx/graph.ts';
import { DataType, floatTensor, makeTensor } from '../../../model/onnx/tensor.ts';
import { isScalar } from './params.ts';
import type { LinearParams, StoredIntegers } from './params.ts';

const ARRAYS = new Map<number, (values: ArrayLike<number>) => ArrayBufferView>([
  [DataType.UINT8, (values) => Uint8Array.from(values)],
  [DataType.INT8, (values) => Int8Array.from(values)],
  [DataType.INT32, (values) => Int32Array.from(values)],
]);

/** A tensor of one of the integer types that kernels take. */
export function integerTensor(
  name: string,
  dataType: number,
  dims: readonly number[],
  values: ArrayLike<number>,
): TensorProto {
  const make = ARRAYS.get(dataType);
  if (make === undefined) throw new Error(`no integers of type ${dataType}`);
  return makeTensor(name, dataType, dims, make(values));
}

/** Collects the constants that new Q and DQ nodes of one graph need; equal ones are shared. */
export class LinearWriter {
  readonly initializers: TensorProto[] = [];
  readonly unique: (wish: string) => string;
  private readonly known = new Map<string, string>();

  constructor(graph: GraphProto) {
    this.unique = nameMaker(graph);
  }

  quantize(from: string, to: string, params: LinearParams): NodeProto {
    return this.node('QuantizeLinear', from, to, params);
  }

  dequantize(from: string, to: string, params: LinearParams): NodeProto {
    return this.node('DequantizeLinear', from, to, params);
  }

  /** Constant integers and the DequantizeLinear that makes `to` of them. */
  stored(stem: string, to: string, { dims, values, params }: StoredIntegers): NodeProto {
    const name = this.unique(`${stem}_integers`);
    this.initializers.push(integerTensor(name, params.dataType, dims, values));
    return this.dequantize(name, to, params);
  }

  /** The graph with these nodes and all constants collected. */
  graph(graph: GraphProto, node: readonly NodeProto[]): GraphProto {
    return { ...graph, node, initializer: [...graph.initializer, ...this.initializers] };
  }

  private node(op: string, from: string, to: string, params: LinearParams): NodeProto {
    const { scales, zeroPoints, dataType, axis } = params;
    const dims = isScalar(params) ? [] : [scales.length];
    const scale = this.shared(`f ${dims.length} ${[...scales].join()}`, 'scale', (name) =>
      floatTensor(name, dims.length === 0 ? (scales[0] ?? 1) : scales),
    );
    const zeroPoint = this.shared(
      `${dataType} ${dims.length} ${zeroPoints.join()}`,
      'zero_point',
      (name) => integerTensor(name, dataType, dims, zeroPoints),
    );
    const attributes = axis === undefined ? {} : { axis: BigInt(axis) };
    return namelessNode(op, [from, scale, zeroPoint], [to], attributes);
  }

  private shared(key: string, stem: string, make: (name: string) => TensorProto): string {
    const before = this.known.get(key);
    if (before !== undefined) return before;
    const name = this.unique(stem);
    this.known.set(key, name);
    this.initializers.push(make(name));
    return name;
  }
}
