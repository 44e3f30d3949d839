import { readFileSync } from 'node:fs';
import { InferenceSession } from 'onnxruntime-node';
import type {
  SessionDescription,
  TensorDescription,
  TensorType,
} from '../../agent/runtime/types.ts';

/** The inputs of a model file, read without the rooms that open models. */
export async function describeModel(path: string): Promise<SessionDescription> {
  const inputs = path.endsWith('.onnx') ? await onnxInputs(path) : tfliteInputs(path);
  return { inputs, outputs: [] };
}

async function onnxInputs(path: string): Promise<TensorDescription[]> {
  const session = await InferenceSession.create(path, { logSeverityLevel: 4 });
  const inputs = session.inputMetadata.map((input): TensorDescription => {
    if (!input.isTensor) throw new Error(`${input.name} is not a tensor`);
    return { name: input.name, dtype: input.type as TensorType, shape: [...input.shape] };
  });
  await session.release();
  return inputs;
}

const TYPES: readonly TensorType[] = [
  'float32',
  'float16',
  'int32',
  'uint8',
  'int64',
  'string',
  'bool',
  'int16',
];

/** Just enough of the flatbuffer format: tables, vectors and strings of the first subgraph. */
function tfliteInputs(path: string): TensorDescription[] {
  const bytes = readFileSync(path);
  const follow = (at: number) => at + bytes.readUInt32LE(at);
  const field = (table: number, id: number) => {
    const vtable = table - bytes.readInt32LE(table);
    const offset =
      4 + 2 * id < bytes.readUInt16LE(vtable) ? bytes.readUInt16LE(vtable + 4 + 2 * id) : 0;
    return offset === 0 ? null : table + offset;
  };
  const vector = (table: number, id: number) => {
    const at = field(table, id);
    if (at === null) return [];
    const start = follow(at);
    return Array.from({ length: bytes.readUInt32LE(start) }, (_, i) => start + 4 + 4 * i);
  };
  const [subgraph = 0] = vector(follow(0), 2).map(follow);
  const tensors = vector(subgraph, 0).map(follow);
  return vector(subgraph, 1).map((at) => {
    const tensor = tensors[bytes.readInt32LE(at)]!;
    const text = follow(field(tensor, 3)!);
    const type = field(tensor, 1);
    return {
      name: bytes.toString('utf8', text + 4, text + 4 + bytes.readUInt32LE(text)),
      dtype: TYPES[type === null ? 0 : bytes.readInt8(type)]!,
      shape: vector(tensor, 0).map((dim) => bytes.readInt32LE(dim)),
    };
  });
}
