import { type FileHandle, open, rm } from 'node:fs/promises';
import { fileError } from '../util/files.ts';
import { ELEMENT_ARRAYS, isNumericType } from '../runtime/element-arrays.ts';
import type { Outputs, Tensor, TensorData } from '../runtime/types.ts';
import { BenchError } from './errors.ts';

/*
 * The float model's outputs on disk, so that it runs once however many candidates are compared with
 * it, and so that no more than one sample is in memory. Scratch data of one machine and one fit: in
 * the machine's byte order. Per sample one record: the length of its header (uint32), the header
 * (JSON: names, types, shapes, byte lengths) and the tensors' bytes. A length of zero ends the file.
 */

interface TensorHeader extends Pick<Tensor, 'dtype' | 'shape'> {
  readonly name: string;
  readonly bytes: number;
}

const LENGTH_BYTES = 4;
/** A header of this size would describe hundreds of thousands of outputs. */
const MAX_HEADER_BYTES = 64 * 1024 * 1024;

/** Writes one record per sample. Removes the file and throws a FileError when it cannot. */
export async function writeReference(path: string, outputs: AsyncIterable<Outputs>): Promise<void> {
  let file;
  try {
    file = await open(path, 'w');
  } catch (error) {
    throw fileError('write', path, error);
  }
  try {
    // oxlint-disable-next-line no-await-in-loop -- records follow one another
    for await (const record of outputs) await writeRecord(path, file, record);
    await writeAll(path, file, Buffer.alloc(LENGTH_BYTES));
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

async function writeRecord(path: string, file: FileHandle, outputs: Outputs): Promise<void> {
  const entries = Object.entries(outputs);
  const blocks = entries.map(([, { data }]) => toBytes(data));
  const headers = entries.map(([name, { dtype, shape }], index): TensorHeader => {
    return { name, dtype, shape, bytes: blocks[index]?.length ?? 0 };
  });
  const header = Buffer.from(JSON.stringify(headers));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(header.length);
  await writeAll(path, file, Buffer.concat([length, header, ...blocks]));
}

async function writeAll(path: string, file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- one write follows the other
      at += (await file.write(bytes, at)).bytesWritten;
    } catch (error) {
      throw fileError('write', path, error);
    }
  }
}

function toBytes(data: TensorData): Uint8Array {
  if (ArrayBuffer.isView(data)) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  return Buffer.from(JSON.stringify(data));
}

/** Reads what `writeReference` wrote, one sample at a time, in the same order. */
export async function* openReference(path: string): AsyncGenerator<Outputs> {
  let file;
  try {
    file = await open(path, 'r');
  } catch (error) {
    throw fileError('read', path, error);
  }
  try {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- records follow one another
      const record = await readRecord(path, file);
      if (!record) return;
      yield record;
    }
  } finally {
    await file.close();
  }
}

async function readRecord(path: string, file: FileHandle): Promise<Outputs | undefined> {
  const length = Buffer.from(await readExactly(path, file, LENGTH_BYTES)).readUInt32LE();
  if (length === 0) return undefined;
  if (length > MAX_HEADER_BYTES) throw damaged(path);
  const text = Buffer.from(await readExactly(path, file, length)).toString();
  const outputs: Record<string, Tensor> = {};
  for (const { name, dtype, shape, bytes } of parseHeaders(path, text)) {
    // oxlint-disable-next-line no-await-in-loop -- tensors follow one another
    const buffer = await readExactly(path, file, bytes);
    outputs[name] = { dtype, shape, data: fromBytes(path, dtype, buffer) };
  }
  return outputs;
}

async function readExactly(path: string, file: FileHandle, size: number): Promise<ArrayBuffer> {
  const buffer = new ArrayBuffer(size);
  for (let at = 0; at < size;) {
    // oxlint-disable-next-line no-await-in-loop -- one read follows the other
    const { bytesRead } = await file.read(new Uint8Array(buffer, at));
    if (bytesRead === 0) throw damaged(path);
    at += bytesRead;
  }
  return buffer;
}

function parseHeaders(path: string, text: string): TensorHeader[] {
  try {
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value) && value.every(isTensorHeader)) return value;
  } catch (error) {
    throw damaged(path, error);
  }
  throw damaged(path);
}

function isTensorHeader(value: unknown): value is TensorHeader {
  if (typeof value !== 'object' || value === null) return false;
  if (!('name' in value && 'dtype' in value && 'shape' in value && 'bytes' in value)) return false;
  const { name, dtype, shape, bytes } = value;
  return (
    typeof name === 'string' &&
    typeof dtype === 'string' &&
    (dtype === 'string' || isNumericType(dtype)) &&
    Array.isArray(shape) &&
    shape.every(Number.isInteger) &&
    typeof bytes === 'number' &&
    Number.isSafeInteger(bytes)
  );
}

function fromBytes(path: string, dtype: Tensor['dtype'], buffer: ArrayBuffer): TensorData {
  if (dtype !== 'string') return new ELEMENT_ARRAYS[dtype](buffer);
  const texts: unknown = JSON.parse(Buffer.from(buffer).toString());
  if (Array.isArray(texts)) return texts.map(String);
  throw damaged(path);
}

function damaged(path: string, cause?: unknown): BenchError {
  return new BenchError('BAD_REFERENCE', `the reference outputs in ${path} are damaged`, { cause });
}
