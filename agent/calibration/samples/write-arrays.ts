import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { fileError } from '../../util/files.ts';
import type { ArrayMember } from './arrays.ts';
import { SampleError } from './error.ts';
import { npyHeader } from './npy.ts';

/*
 * Parts of .npy and .npz files, written sample by sample. Archives are stored, not deflated, and have
 * no dates: the same samples give the same bytes whatever the version of zlib.
 */

export interface Rows {
  readonly from: number;
  /** One past the last; all where it is left out. */
  readonly to?: number | undefined;
}

/** Sizes and offsets in a .zip file without its 64-bit extension. */
const MAX_ZIP_BYTES = 0xffff_ffff;
const DATE_1980_01_01 = 0x21;
const LOCAL_BYTES = 30;

/** Writes these rows of an array as a .npy file. Throws SampleError or FileError. */
export async function writeNpy(path: string, member: ArrayMember, rows: Rows): Promise<void> {
  await writing(path, async (file) => {
    await writeMember(file, member, checked(member, rows));
  });
}

/**
 * Writes these rows of every array as a .npz file. An array with too few rows is none of the inputs,
 * and is left out. Throws SampleError or FileError.
 */
export async function writeNpz(
  path: string,
  members: ReadonlyMap<string, ArrayMember>,
  { from, to }: Rows,
): Promise<void> {
  const last = to ?? Math.max(...[...members.values()].map(({ count }) => count));
  const used = [...members].filter(([, { count }]) => to === undefined || count >= last);
  if (used.length === 0) throw new SampleError('range', `no array in ${path} has ${last} rows`);
  await writing(path, async (file) => {
    const entries: Entry[] = [];
    let offset = 0;
    for (const [name, member] of used) {
      const entry = { name: Buffer.from(`${name}.npy`), offset };
      const place = offset + LOCAL_BYTES + entry.name.length;
      // oxlint-disable-next-line no-await-in-loop -- members follow one another
      const written = await writeMember(file, member, checked(member, { from, to }), place);
      const whole = { ...entry, ...written };
      // oxlint-disable-next-line no-await-in-loop -- the header needs the checksum
      await file.write(localHeader(whole), 0, null, offset);
      entries.push(whole);
      offset = place + written.bytes;
      if (offset > MAX_ZIP_BYTES) {
        throw new SampleError('unsupported', `${path}: more than 4 GB of samples: name fewer`);
      }
    }
    await file.write(directory(entries, offset), 0, null, offset);
  });
}

interface Written {
  readonly bytes: number;
  readonly crc: number;
}

interface Entry extends Written {
  readonly name: Buffer;
  readonly offset: number;
}

function checked({ count, title }: ArrayMember, { from, to = count }: Rows): Required<Rows> {
  if (from < to && to <= count) return { from, to };
  throw new SampleError('range', `${title}: from ${from} to ${to} is outside its ${count} samples`);
}

/** The array from `place` on; its length and checksum. */
async function writeMember(
  file: FileHandle,
  member: ArrayMember,
  { from, to = from }: Rows,
  place = 0,
): Promise<Written> {
  const { header } = member;
  const start = npyHeader(header.dtype, [to - from, ...header.shape.slice(1)]);
  let bytes = (await file.write(start, 0, null, place)).bytesWritten;
  let crc = crc32(start);
  const reader = await member.open(from);
  try {
    for (let row = from; row < to; row += 1) {
      // oxlint-disable-next-line no-await-in-loop -- a stream
      const data = await reader.next();
      if (!ArrayBuffer.isView(data)) throw new SampleError('dtype', 'text has no binary form');
      const chunk = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      crc = crc32(chunk, crc);
      // oxlint-disable-next-line no-await-in-loop -- rows follow one another
      bytes += (await file.write(chunk, 0, null, place + bytes)).bytesWritten;
    }
  } finally {
    await reader.close();
  }
  return { bytes, crc };
}

async function writing(path: string, work: (file: FileHandle) => Promise<void>): Promise<void> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'wx');
    await work(file);
  } catch (error) {
    if (error instanceof SampleError) throw error;
    throw fileError('write', path, error);
  } finally {
    await file?.close();
  }
}

/** What both headers of an entry have in common (APPNOTE 4.4): stored, sizes known. */
function common({ name, bytes, crc }: Entry): Buffer {
  const header = Buffer.alloc(26);
  header.writeUInt16LE(20, 0);
  header.writeUInt16LE(DATE_1980_01_01, 8);
  header.writeUInt32LE(crc, 10);
  header.writeUInt32LE(bytes, 14);
  header.writeUInt32LE(bytes, 18);
  header.writeUInt16LE(name.length, 22);
  return header;
}

function localHeader(entry: Entry): Buffer {
  return Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common(entry), entry.name]);
}

function directory(entries: readonly Entry[], offset: number): Buffer {
  const records = entries.map((entry) => {
    const attributes = Buffer.alloc(14);
    attributes.writeUInt32LE(entry.offset, 10);
    const version = Buffer.from([20, 0]);
    const magic = Buffer.from('PK\x01\x02', 'latin1');
    return Buffer.concat([magic, version, common(entry), attributes, entry.name]);
  });
  const central = Buffer.concat(records);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([central, end]);
}
