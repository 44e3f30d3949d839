import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { type Entry, openPromise } from 'yauzl';
import type { TensorData } from '../../runtime/types.ts';
import { messageOf } from '../../util/errors.ts';
import { ByteReader } from './byte-reader.ts';
import { SampleError, shapeText } from './error.ts';
import { decodeElements, type NpyHeader, readNpyHeader } from './npy.ts';

/** One sample of one input never takes more memory than this. */
export const MAX_SAMPLE_BYTES = 256 * 1024 * 1024;
const MAX_MEMBERS = 1000;
const READ_CHUNK_BYTES = 256 * 1024;

/** One array in a file, read sample by sample along its first axis. */
export interface ArrayMember {
  /** `data.npz: input_1` in messages. */
  readonly title: string;
  readonly header: NpyHeader;
  /** Samples, the first axis. */
  readonly count: number;
  /** Opens a reader placed at the sample `from`; `close` it. */
  open(from: number): Promise<RecordReader>;
}

export interface RecordReader {
  next(): Promise<TensorData>;
  close(): Promise<void>;
}

/** The array in a .npy file; its name is the empty string. Reads only the header. */
export async function openNpy(path: string): Promise<ArrayMember> {
  const name = basename(path);
  const stream = (start: number) =>
    createReadStream(path, { start, highWaterMark: READ_CHUNK_BYTES });
  const reader = new ByteReader(stream(0), name);
  let dataOffset = 0;
  const header = await closing(reader, () =>
    readNpyHeader((n) => {
      dataOffset += n;
      return reader.read(n);
    }, name),
  );
  const { size } = await stat(path);
  const bytes = checkLength(header, size - dataOffset, name, dataOffset);
  return {
    title: name,
    header,
    count: header.shape[0] ?? 0,
    open(from) {
      const start = dataOffset + from * bytes;
      return Promise.resolve(recordReader(new ByteReader(stream(start), name), header, bytes));
    },
  };
}

/**
 * The arrays in a .npz file by name. Reads the directory and the headers only: members are
 * inflated while they are iterated, so the size of the file never matters.
 */
export async function openNpz(path: string): Promise<ReadonlyMap<string, ArrayMember>> {
  const entries = await readDirectory(path);
  const members = new Map<string, ArrayMember>();
  for (const entry of entries) {
    const name = entry.fileName.replace(/\.npy$/, '');
    // oxlint-disable-next-line no-await-in-loop -- one small inflate after the other
    members.set(name, await npzMember(path, entry, `${basename(path)}: ${name}`));
  }
  return members;
}

async function readDirectory(path: string): Promise<Entry[]> {
  try {
    const zip = await openPromise(path, { lazyEntries: true, autoClose: false });
    try {
      const entries: Entry[] = [];
      for await (const entry of zip.eachEntry()) {
        if (!entry.fileName.endsWith('.npy')) continue;
        entries.push(entry);
        if (entries.length > MAX_MEMBERS)
          throw new Error(`it holds more than ${MAX_MEMBERS} arrays`);
      }
      return entries;
    } finally {
      zip.close();
    }
  } catch (error) {
    throw new SampleError(
      'unreadable',
      `${path}: cannot be read as .npz: ${messageOf(error)}`,
      error,
    );
  }
}

async function npzMember(path: string, entry: Entry, title: string): Promise<ArrayMember> {
  const reader = await openEntry(path, entry, title);
  let dataOffset = 0;
  const header = await closing(reader, () =>
    readNpyHeader((n) => {
      dataOffset += n;
      return reader.read(n);
    }, title),
  );
  const bytes = checkLength(header, entry.uncompressedSize - dataOffset, title, dataOffset);
  return {
    title,
    header,
    count: header.shape[0] ?? 0,
    async open(from) {
      const opened = await openEntry(path, entry, title);
      try {
        await opened.skip(dataOffset + from * bytes);
      } catch (error) {
        await opened.close();
        throw error;
      }
      return recordReader(opened, header, bytes);
    },
  };
}

/** A reader over one inflated member, with a file handle of its own. */
async function openEntry(path: string, entry: Entry, title: string): Promise<ByteReader> {
  try {
    const zip = await openPromise(path, { lazyEntries: true, autoClose: false });
    try {
      const stream = await zip.openReadStreamPromise(entry);
      stream.once('close', () => zip.close());
      return new ByteReader(stream, title);
    } catch (error) {
      zip.close();
      throw error;
    }
  } catch (error) {
    throw new SampleError('unreadable', `${title}: ${messageOf(error)}`, error);
  }
}

async function closing<T>(reader: ByteReader, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await reader.close();
  }
}

/** Bytes of one sample. The header must promise exactly the bytes that are there. */
function checkLength(header: NpyHeader, present: number, title: string, offset: number): number {
  const [count, ...rest] = header.shape;
  if (count === undefined) {
    throw new SampleError('shape', `${title}: a single number; the first axis must be the sample`);
  }
  const bytes = rest.reduce((product, dim) => product * dim, header.itemBytes);
  if (count > 0 && bytes === 0) {
    throw new SampleError('shape', `${title}: samples of shape ${shapeText(rest)} are empty`);
  }
  if (bytes > MAX_SAMPLE_BYTES) {
    throw new SampleError('shape', `${title}: one sample of shape ${shapeText(rest)} is too large`);
  }
  const missing = count * bytes - present;
  if (missing > 0) {
    const where = `ends at offset ${offset + present}, ${missing} bytes too early`;
    throw new SampleError(
      'truncated',
      `${title}: truncated: ${where} for ${shapeText(header.shape)}`,
    );
  }
  return bytes;
}

function recordReader(reader: ByteReader, header: NpyHeader, bytes: number): RecordReader {
  return {
    next: async () => decodeElements(await reader.read(bytes), header),
    close: () => reader.close(),
  };
}

/** Whether a file is .npy, .npz or RIFF, by its first bytes; null for anything else. */
export function kindOfFile(head: Uint8Array): 'npy' | 'npz' | 'wav' | null {
  const text = Buffer.from(head).toString('latin1');
  if (text.startsWith('\x93NUMPY')) return 'npy';
  // PK 05 06 starts an archive without members.
  if (text.startsWith('PK\x03\x04') || text.startsWith('PK\x05\x06')) return 'npz';
  if (text.startsWith('RIFF') && text.slice(8, 12) === 'WAVE') return 'wav';
  return null;
}
