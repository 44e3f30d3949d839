import type { TensorData, TensorType } from '../../runtime/types.ts';
import { SampleError } from './error.ts';

/** NumPy's .npy format 1.0 to 3.0 (numpy/lib/format.py), plain numbers in C order. */

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
/** Magic, version and the longest length field. */
const PREFIX_BYTES = 12;
/** numpy itself refuses headers above 10000 bytes unless told otherwise. */
const MAX_HEADER_BYTES = 64 * 1024;
const MAX_RANK = 32;

interface Format {
  readonly dtype: TensorType;
  readonly bytes: number;
}

const FORMATS: ReadonlyMap<string, Format> = new Map([
  ['b1', { dtype: 'bool', bytes: 1 }],
  ['i1', { dtype: 'int8', bytes: 1 }],
  ['u1', { dtype: 'uint8', bytes: 1 }],
  ['i2', { dtype: 'int16', bytes: 2 }],
  ['u2', { dtype: 'uint16', bytes: 2 }],
  ['i4', { dtype: 'int32', bytes: 4 }],
  ['u4', { dtype: 'uint32', bytes: 4 }],
  ['i8', { dtype: 'int64', bytes: 8 }],
  ['u8', { dtype: 'uint64', bytes: 8 }],
  ['f2', { dtype: 'float16', bytes: 2 }],
  ['f4', { dtype: 'float32', bytes: 4 }],
  ['f8', { dtype: 'float64', bytes: 8 }],
]);

export interface NpyHeader {
  readonly dtype: TensorType;
  readonly shape: readonly number[];
  readonly itemBytes: number;
  readonly bigEndian: boolean;
}

/** Gives `n` more bytes of a file, or throws because they are not there. */
export type ReadBytes = (n: number) => Promise<Buffer>;

/** Reads the header from the start of a .npy record and leaves `read` at its first element. */
export async function readNpyHeader(read: ReadBytes, name: string): Promise<NpyHeader> {
  const prefix = await read(10);
  if (!prefix.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw new SampleError('unsupported', `${name}: not a .npy array (no NUMPY magic at offset 0)`);
  }
  const major = prefix[6] ?? 0;
  if (major < 1 || major > 3) {
    throw new SampleError(
      'unsupported',
      `${name}: .npy version ${major} is not known (1 to 3 are)`,
    );
  }
  const rest = major === 1 ? Buffer.alloc(0) : await read(PREFIX_BYTES - 10);
  const length =
    major === 1 ? prefix.readUInt16LE(8) : Buffer.concat([prefix, rest]).readUInt32LE(8);
  if (length > MAX_HEADER_BYTES) {
    throw new SampleError('unsupported', `${name}: .npy header of ${length} bytes at offset 8`);
  }
  const text = (await read(length)).toString(major === 3 ? 'utf8' : 'latin1');
  return parseHeader(text, name);
}

/** The header is a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}. */
function parseHeader(text: string, name: string): NpyHeader {
  const descr = /['"]descr['"]\s*:\s*['"]([^'"]*)['"]/.exec(text)?.[1];
  const fortran = /['"]fortran_order['"]\s*:\s*(True|False)/.exec(text)?.[1];
  const shapeList = /['"]shape['"]\s*:\s*\(([^)]*)\)/.exec(text)?.[1];
  if (fortran === undefined || shapeList === undefined) {
    throw new SampleError('unsupported', `${name}: the .npy header is damaged`);
  }
  const format = FORMATS.get((descr ?? '').slice(1));
  if (descr === undefined || format === undefined || !/^[<>|=]/.test(descr)) {
    const what = descr ?? 'structured records';
    throw new SampleError('dtype', `${name}: dtype ${what} is not supported; save plain numbers`);
  }
  const shape = parseShape(shapeList, name);
  checkSize(shape, format.bytes, name);
  if (fortran === 'True' && shape.filter((dim) => dim !== 1).length > 1) {
    const advice = 'save it with numpy.ascontiguousarray(...)';
    throw new SampleError('unsupported', `${name}: the array is in Fortran order; ${advice}`);
  }
  return { dtype: format.dtype, shape, itemBytes: format.bytes, bigEndian: descr.startsWith('>') };
}

function parseShape(list: string, name: string): number[] {
  const parts = list.split(',').map((part) => part.trim());
  // A tuple of one is written `(3,)`.
  if (parts.at(-1) === '') parts.pop();
  const shape = parts.map((part) => (/^\d{1,16}L?$/.test(part) ? Number.parseInt(part, 10) : NaN));
  if (shape.length > MAX_RANK || !shape.every((dim) => Number.isSafeInteger(dim))) {
    throw new SampleError('shape', `${name}: the .npy header has the shape (${list.slice(0, 80)})`);
  }
  return shape;
}

function checkSize(shape: readonly number[], itemBytes: number, name: string): void {
  const bytes = shape.reduce((product, dim) => product * dim, itemBytes);
  if (Number.isSafeInteger(bytes)) return;
  throw new SampleError('shape', `${name}: the .npy header promises ${bytes} bytes`);
}

/**
 * Elements in the machine's byte order. `bytes` must own its memory (offset 0): it is reused, and
 * byte-swapped in place for big-endian files.
 */
export function decodeElements(bytes: Buffer, header: NpyHeader): TensorData {
  if (header.bigEndian) {
    if (header.itemBytes === 2) bytes.swap16();
    if (header.itemBytes === 4) bytes.swap32();
    if (header.itemBytes === 8) bytes.swap64();
  }
  return viewAs(header.dtype, bytes, bytes.length / header.itemBytes);
}

type View = (buffer: ArrayBufferLike, at: number, length: number) => TensorData;

const uint8View: View = (buffer, at, length) => new Uint8Array(buffer, at, length);
const uint16View: View = (buffer, at, length) => new Uint16Array(buffer, at, length);

const VIEWS: Readonly<Record<Exclude<TensorType, 'string'>, View>> = {
  float32: (buffer, at, length) => new Float32Array(buffer, at, length),
  float64: (buffer, at, length) => new Float64Array(buffer, at, length),
  float16: uint16View,
  int8: (buffer, at, length) => new Int8Array(buffer, at, length),
  uint8: uint8View,
  int16: (buffer, at, length) => new Int16Array(buffer, at, length),
  uint16: uint16View,
  int32: (buffer, at, length) => new Int32Array(buffer, at, length),
  uint32: (buffer, at, length) => new Uint32Array(buffer, at, length),
  int64: (buffer, at, length) => new BigInt64Array(buffer, at, length),
  uint64: (buffer, at, length) => new BigUint64Array(buffer, at, length),
  bool: uint8View,
};

/** A typed array over little-endian bytes, copied first where they are not aligned. */
export function viewAs(dtype: TensorType, given: Uint8Array, length: number): TensorData {
  if (dtype === 'string') throw new SampleError('dtype', 'text has no binary form');
  const bytes = given.byteOffset % 8 === 0 ? given : Uint8Array.from(given);
  return VIEWS[dtype](bytes.buffer, bytes.byteOffset, length);
}

/** The start of a .npy record, version 1.0, in C order; what this program reads is little-endian. */
export function npyHeader(dtype: TensorType, shape: readonly number[]): Buffer {
  const found = [...FORMATS].find(([, format]) => format.dtype === dtype);
  if (found === undefined) throw new SampleError('dtype', `${dtype} has no binary form`);
  const [name, { bytes }] = found;
  const dims = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const descr = `${bytes === 1 ? '|' : '<'}${name}`;
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${dims}), }`;
  // Elements begin at a multiple of 64; a line break ends the header.
  const length = Math.ceil((PREFIX_BYTES - 2 + text.length + 1) / 64) * 64 - (PREFIX_BYTES - 2);
  const prefix = Buffer.from([1, 0, length & 0xff, length >> 8]);
  return Buffer.concat([MAGIC, prefix, Buffer.from(`${text.padEnd(length - 1)}\n`, 'latin1')]);
}

/** Bytes of one element; text has none. */
export function bytesPerElement(dtype: TensorType): number | null {
  if (dtype === 'string') return null;
  for (const format of FORMATS.values()) if (format.dtype === dtype) return format.bytes;
  return null;
}
