import { MAX_DIRECTORY_BYTES } from './limits.ts';

/**
 * Just enough of the zip format (PKWARE's APPNOTE.TXT, sections 4.3.12 and 4.3.16) to move an archive
 * inside a file: the places of its entries count from the start of the file, not of the archive.
 */

const END = 0x06054b50;
const END_BYTES = 22;
const ENTRY = 0x02014b50;
const ENTRY_BYTES = 46;
/** A field that says this has its value in a zip64 record. */
const ELSEWHERE = 0xffffffff;

/**
 * The archive in pieces, to begin at byte `to` of a file rather than at `from`; undefined where this
 * is no archive that we can follow.
 */
export function moveArchive(
  bytes: Uint8Array,
  from: number,
  to: number,
): readonly Uint8Array[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = findEnd(view);
  if (end === undefined) return undefined;
  const size = view.getUint32(end + 12, true);
  const recorded = view.getUint32(end + 16, true);
  const start = end - size;
  if (start < 0 || size > MAX_DIRECTORY_BYTES || recorded === ELSEWHERE) return undefined;
  // Some writers count from the start of the archive; such an archive may lie anywhere.
  if (recorded === start) return [bytes];
  if (recorded !== from + start) return undefined;
  const directory = new Uint8Array(bytes.subarray(start));
  return shift(new DataView(directory.buffer), size, to - from)
    ? [bytes.subarray(0, start), directory]
    : undefined;
}

/** Whether there is any part of a zip archive, whole or not. */
export function hasArchive(bytes: Uint8Array): boolean {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return SIGNATURES.some((signature) => buffer.includes(signature));
}

const SIGNATURES = ['PK\x01\x02', 'PK\x03\x04', 'PK\x05\x06', 'PK\x06\x06'];

/** Names of the files in an archive; none where this is no archive that we can follow. */
export function archiveNames(bytes: Uint8Array): readonly string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = findEnd(view);
  if (end === undefined) return [];
  const size = view.getUint32(end + 12, true);
  const names: string[] = [];
  for (let at = end - size; at >= 0 && at + ENTRY_BYTES <= end;) {
    if (view.getUint32(at, true) !== ENTRY) break;
    const [name = 0, extra = 0, comment = 0] = [28, 30, 32].map((field) =>
      view.getUint16(at + field, true),
    );
    const start = at + ENTRY_BYTES;
    names.push(Buffer.from(bytes.subarray(start, start + name)).toString('utf8'));
    at = start + name + extra + comment;
  }
  return names;
}

/** Adds `by` to every place in the directory and in the end record behind it. */
function shift(directory: DataView, size: number, by: number): boolean {
  let at = 0;
  while (at < size) {
    if (at + ENTRY_BYTES > size || directory.getUint32(at, true) !== ENTRY) return false;
    if (!add(directory, at + 42, by)) return false;
    const texts = [28, 30, 32].map((field) => directory.getUint16(at + field, true));
    at += texts.reduce((sum, length) => sum + length, ENTRY_BYTES);
  }
  return at === size && add(directory, size + 16, by);
}

function add(view: DataView, at: number, by: number): boolean {
  const before = view.getUint32(at, true);
  const after = before + by;
  if (before === ELSEWHERE || after < 0 || after >= ELSEWHERE) return false;
  view.setUint32(at, after, true);
  return true;
}

/** The end record stands last, with a comment of up to 64 KB behind it. */
function findEnd(view: DataView): number | undefined {
  const last = view.byteLength - END_BYTES;
  for (let at = last; at >= Math.max(0, last - 0xffff); at--) {
    if (view.getUint32(at, true) !== END) continue;
    if (at + END_BYTES + view.getUint16(at + 20, true) === view.byteLength) return at;
  }
  return undefined;
}
