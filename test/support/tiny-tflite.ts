/*
 * Writes small .tflite files for tests, field by field after schema.fbs (flatbuffers wire format), so
 * that no test needs a binary fixture, a converter or the codec under test.
 */

/** TensorType of the schema. */
export const TYPE = {
  float32: 0,
  float16: 1,
  int32: 2,
  uint8: 3,
  int64: 4,
  string: 5,
  bool: 6,
  int16: 7,
  complex64: 8,
  int8: 9,
  float64: 10,
  int4: 17,
} as const;

/** BuiltinOperator of the schema, as far as tests need it. */
export const OP = {
  add: 0,
  fullyConnected: 9,
  reshape: 22,
  custom: 32,
  range: 96,
  gelu: 150,
  sign: 158,
} as const;

/** Place of an operator's options in the union BuiltinOptions. */
const OPTIONS = { add: 11, reshape: 17, none: 0 } as const;

export interface TinyTfliteTensor {
  readonly name: string;
  readonly type?: keyof typeof TYPE;
  readonly shape: readonly number[];
  /** The shape with -1 where a dimension is open. */
  readonly signature?: readonly number[];
  readonly data?: NodeJS.TypedArray;
  readonly quantization?: { readonly scale: number; readonly zeroPoint: number };
}

export interface TinyTfliteOp {
  readonly op: keyof typeof OP;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly version?: number;
  readonly customCode?: string;
}

export interface TinyTfliteGraph {
  readonly tensors: readonly TinyTfliteTensor[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly ops?: readonly TinyTfliteOp[];
}

export interface TinySignature {
  readonly key: string;
  readonly subgraph?: number;
  readonly inputs: Readonly<Record<string, number>>;
  readonly outputs: Readonly<Record<string, number>>;
}

export interface TinyTflite extends TinyTfliteGraph {
  /** Subgraphs behind the first. */
  readonly more?: readonly TinyTfliteGraph[];
  readonly signatures?: readonly TinySignature[];
  /** Whether the file holds a field that no schema knows yet. */
  readonly newer?: boolean;
}

/** The bytes of a .tflite model file. */
export function tinyTflite(model: TinyTflite): Uint8Array {
  const graphs = [model, ...(model.more ?? [])];
  const ops = graphs.flatMap((graph) => graph.ops ?? []);
  const constants = graphs.flatMap(({ tensors }) => tensors).filter(({ data }) => data);
  const buffers = [table({}), ...constants.map(({ data }) => table({ 0: bytes(data!) }))];
  const bufferOf = (tensor: TinyTfliteTensor) => constants.indexOf(tensor) + 1;
  return write(
    table({
      0: int(3),
      1: list(ops.map(opcode)),
      2: list(graphs.map((graph) => subgraph(graph, ops, bufferOf))),
      4: list(buffers),
      ...(model.signatures && { 7: list(model.signatures.map(signature)) }),
      ...(model.newer && { 99: int(1) }),
    }),
  );
}

function opcode({ op, version = 1, customCode }: TinyTfliteOp): Node {
  return table({
    0: byte(Math.min(OP[op], 127)),
    ...(customCode !== undefined && { 1: text(customCode) }),
    2: int(version),
    3: int(OP[op]),
  });
}

function subgraph(
  { tensors, inputs, outputs, ops = [] }: TinyTfliteGraph,
  all: readonly TinyTfliteOp[],
  bufferOf: (tensor: TinyTfliteTensor) => number,
): Node {
  return table({
    0: list(
      tensors.map((tensor) =>
        table({
          0: ints(tensor.shape),
          1: byte(TYPE[tensor.type ?? 'float32']),
          2: int(tensor.data ? bufferOf(tensor) : 0),
          3: text(tensor.name),
          ...(tensor.quantization && { 4: quantization(tensor.quantization) }),
          ...(tensor.signature && { 7: ints(tensor.signature) }),
        }),
      ),
    ),
    1: ints(inputs),
    2: ints(outputs),
    3: list(
      ops.map((op) =>
        table({
          0: int(all.indexOf(op)),
          1: ints(op.inputs),
          2: ints(op.outputs),
          ...(op.op in OPTIONS && {
            3: byte(OPTIONS[op.op as keyof typeof OPTIONS]),
            4: table({}),
          }),
        }),
      ),
    ),
  });
}

function quantization({ scale, zeroPoint }: { scale: number; zeroPoint: number }): Node {
  return table({ 2: floats([scale]), 3: longs([zeroPoint]) });
}

function signature({ key, subgraph: index = 0, inputs, outputs }: TinySignature): Node {
  const maps = (named: Readonly<Record<string, number>>) =>
    list(Object.entries(named).map(([name, tensor]) => table({ 0: text(name), 1: int(tensor) })));
  return table({ 0: maps(inputs), 1: maps(outputs), 2: text(key), 4: int(index) });
}

/** A number inside a table. */
interface Scalar {
  readonly bytes: Uint8Array;
}
/** What lies elsewhere and is pointed to. */
interface Node {
  /** Writes itself and returns where it begins; `content` begins at a multiple of `align`. */
  readonly put: (out: Output) => number;
}
type Field = Scalar | Node;

class Output {
  bytes = Buffer.alloc(1024);
  at = 0;

  append(more: Uint8Array): number {
    const start = this.at;
    this.at += more.length;
    if (this.at > this.bytes.length) {
      this.bytes = Buffer.concat([this.bytes, Buffer.alloc(this.at)]);
    }
    this.bytes.set(more, start);
    return start;
  }

  /** Pads so that `ahead` bytes later the position is a multiple of `unit`. */
  align(unit: number, ahead = 0): void {
    while ((this.at + ahead) % unit !== 0) this.append(Uint8Array.of(0));
  }

  point(from: number, to: number): void {
    this.bytes.writeUInt32LE(to - from, from);
  }
}

const int = (value: number): Scalar => ({ bytes: new Uint8Array(Int32Array.of(value).buffer) });
const byte = (value: number): Scalar => ({ bytes: Uint8Array.of(value) });

/** Fields by their number in the schema. Every field takes four bytes: alignment comes for free. */
function table(fields: Readonly<Record<number, Field>>): Node {
  const entries = Object.entries(fields).map(([id, field]) => ({ id: Number(id), field }));
  return {
    put(out) {
      const slots = Math.max(-1, ...entries.map(({ id }) => id)) + 1;
      const vtable = Buffer.alloc(4 + slots * 2);
      vtable.writeUInt16LE(vtable.length, 0);
      vtable.writeUInt16LE(4 + entries.length * 4, 2);
      for (const [place, { id }] of entries.entries()) {
        vtable.writeUInt16LE(4 + place * 4, 4 + id * 2);
      }
      out.align(4, vtable.length);
      const vtableAt = out.append(vtable);
      const at = out.append(Buffer.alloc(4 + entries.length * 4));
      out.bytes.writeInt32LE(at - vtableAt, at);
      for (const [place, { field }] of entries.entries()) {
        const slot = at + 4 + place * 4;
        if ('put' in field) out.point(slot, field.put(out));
        else out.bytes.set(field.bytes, slot);
      }
      return at;
    },
  };
}

function list(nodes: readonly Node[]): Node {
  return {
    put(out) {
      out.align(4);
      const at = out.append(Buffer.alloc(4 + nodes.length * 4));
      out.bytes.writeUInt32LE(nodes.length, at);
      for (const [index, node] of nodes.entries()) out.point(at + 4 + index * 4, node.put(out));
      return at;
    },
  };
}

function vector(count: number, content: Uint8Array, align: number): Node {
  return {
    put(out) {
      out.align(align, 4);
      const at = out.append(new Uint8Array(Uint32Array.of(count).buffer));
      out.append(content);
      return at;
    },
  };
}

const raw = (array: NodeJS.TypedArray) =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
const ints = (values: readonly number[]) => vector(values.length, raw(Int32Array.from(values)), 4);
const floats = (values: readonly number[]) =>
  vector(values.length, raw(Float32Array.from(values)), 4);
const longs = (values: readonly number[]) =>
  vector(values.length, raw(BigInt64Array.from(values.map(BigInt))), 8);
/** Contents of a buffer begin at a multiple of 16 (force_align in the schema). */
const bytes = (data: NodeJS.TypedArray) => vector(data.byteLength, raw(data), 16);

function text(value: string): Node {
  const encoded = Buffer.from(value);
  return vector(encoded.length, Buffer.concat([encoded, Buffer.alloc(1)]), 4);
}

function write(root: Node): Uint8Array {
  const out = new Output();
  out.append(Buffer.from('\0\0\0\0TFL3'));
  out.point(0, root.put(out));
  return new Uint8Array(out.bytes.subarray(0, out.at));
}
