/*
 * Writes small ONNX files for tests, field by field after onnx.proto (protobuf wire format), so that
 * no test needs a binary fixture or a converter.
 */

export const ELEMENT = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
} as const;

type Element = keyof typeof ELEMENT;
type Attribute = number | readonly number[] | string | Uint8Array;

export interface TinyValue {
  readonly name: string;
  readonly type?: Element;
  readonly shape: readonly (number | string)[];
}

export interface TinyTensor {
  readonly name: string;
  readonly type?: Element;
  readonly shape: readonly number[];
  /** Raw little-endian bytes, or the file that holds them. */
  readonly data: ArrayBufferView | { readonly file: string };
}

export interface TinyNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly name?: string;
  readonly domain?: string;
  /** Whole numbers become ints; a graph is given as the bytes of `tinyGraph`. */
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

export interface TinyGraph {
  readonly inputs?: readonly TinyValue[];
  readonly outputs: readonly TinyValue[];
  readonly nodes: readonly TinyNode[];
  readonly weights?: readonly TinyTensor[];
}

export interface TinyModel extends TinyGraph {
  readonly opset?: number;
  readonly irVersion?: number;
  /** Further domains and their versions, e.g. `{ 'com.microsoft': 1 }`. */
  readonly domains?: Readonly<Record<string, number>>;
}

/** The bytes of an ONNX model file. */
export function tinyModel(model: TinyModel): Uint8Array {
  const opsets = Object.entries({ '': model.opset ?? 13, ...model.domains });
  return concat([
    varintField(1, model.irVersion ?? 8),
    bytesField(7, tinyGraph(model)),
    ...opsets.map(([domain, version]) =>
      bytesField(8, concat([textField(1, domain), varintField(2, version)])),
    ),
  ]);
}

/** The bytes of a graph, for the attribute of a control-flow node. */
export function tinyGraph(graph: TinyGraph): Uint8Array {
  return concat([
    ...graph.nodes.map((node) => bytesField(1, nodeBytes(node))),
    textField(2, 'tiny'),
    ...(graph.weights ?? []).map((tensor) => bytesField(5, tensorBytes(tensor))),
    ...(graph.inputs ?? []).map((value) => bytesField(11, valueBytes(value))),
    ...graph.outputs.map((value) => bytesField(12, valueBytes(value))),
  ]);
}

function nodeBytes(node: TinyNode): Uint8Array {
  return concat([
    ...node.inputs.map((name) => textField(1, name)),
    ...node.outputs.map((name) => textField(2, name)),
    textField(3, node.name ?? ''),
    textField(4, node.op),
    ...Object.entries(node.attributes ?? {}).map(([name, value]) =>
      bytesField(5, concat([textField(1, name), attributeBytes(value)])),
    ),
    textField(7, node.domain ?? ''),
  ]);
}

function attributeBytes(value: Attribute): Uint8Array {
  const [FLOAT, INT, STRING, GRAPH, INTS] = [1, 2, 3, 5, 7];
  if (typeof value === 'string') return concat([textField(4, value), varintField(20, STRING)]);
  if (value instanceof Uint8Array) return concat([bytesField(6, value), varintField(20, GRAPH)]);
  if (typeof value !== 'number') {
    return concat([...value.map((item) => varintField(8, item)), varintField(20, INTS)]);
  }
  if (Number.isInteger(value)) return concat([varintField(3, value), varintField(20, INT)]);
  const bits = new Uint8Array(new Float32Array([value]).buffer);
  return concat([varint((2 << 3) | 5), bits, varintField(20, FLOAT)]);
}

function tensorBytes({ name, type = 'float32', shape, data }: TinyTensor): Uint8Array {
  const entry = (key: string, value: string) =>
    bytesField(13, concat([textField(1, key), textField(2, value)]));
  return concat([
    ...shape.map((size) => varintField(1, size)),
    varintField(2, ELEMENT[type]),
    textField(8, name),
    'file' in data
      ? concat([entry('location', data.file), varintField(14, 1)])
      : bytesField(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
  ]);
}

function valueBytes({ name, type = 'float32', shape }: TinyValue): Uint8Array {
  const sizes = shape.map((size) =>
    bytesField(1, typeof size === 'number' ? varintField(1, size) : textField(2, size)),
  );
  const tensor = concat([varintField(1, ELEMENT[type]), bytesField(2, concat(sizes))]);
  return concat([textField(1, name), bytesField(2, bytesField(1, tensor))]);
}

function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  // Negative numbers take ten bytes of two's complement.
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Uint8Array.from([...bytes, Number(rest)]);
}

function varintField(field: number, value: number): Uint8Array {
  return concat([varint(field << 3), varint(value)]);
}

function bytesField(field: number, bytes: Uint8Array): Uint8Array {
  return concat([varint((field << 3) | 2), varint(bytes.length), bytes]);
}

function textField(field: number, text: string): Uint8Array {
  return bytesField(field, new TextEncoder().encode(text));
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
