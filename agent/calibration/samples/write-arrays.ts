import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { fileError } from '../../util/files.ts';
import type { ArrayMember } from './arrays.ts';
import { SampleError } from './error.ts';
import { npyHeader } from './npy.ts';
import { directory, LOCAL_BYTES, localHeader, MAX_ZIP_BYTES, type Entry } from './zip-headers.ts';

/*
 * Parts of .npy and .npz files, written sample by sample. Archives are stored, not deflated, and have
 * no dates: the same samples give the same bytes whatever the version of zlib.
 */

export interface Rows {
  readonly from: number;
  /** One past the last; all where it is left out. */
  readonly to?: number | undefined;
}

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
