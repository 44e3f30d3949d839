import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { TrustError } from '../errors.ts';

/*
 * Reads a gzipped tar of the ustar format (POSIX.1-1988): files and folders, nothing else. No links and
 * no extensions, so nothing in an archive can lead out of the folder it is unpacked into.
 */

const BLOCK_BYTES = 512;
/** The agent with its Node.js has 180 MB in some thousand files. */
const MAX_BYTES = 1024 ** 3;
const MAX_ENTRIES = 50_000;

export interface TarFile {
  /** Relative, `/` between the parts, no `.` or `..` among them. */
  readonly path: string;
  readonly bytes: number;
  readonly isExecutable: boolean;
}

/** Takes the pieces of one file in turn. */
export type TarSink = (file: TarFile, pieces: AsyncIterable<Uint8Array>) => Promise<void>;

/** Hands every file of an archive to `sink`. Throws TrustError (BAD_PACKAGE) and system errors. */
export async function readTar(archive: string, sink: TarSink): Promise<void> {
  const unzipped = createGunzip();
  const reading = pipeline(createReadStream(archive), unzipped);
  // Its error comes out of `unzipped`, too.
  reading.catch(() => undefined);
  try {
    await readBlocks(new Source(unzipped), sink);
  } catch (error) {
    throw isZlib(error) ? bad(`it is no whole gzip file (${String(error)})`) : error;
  } finally {
    unzipped.destroy();
  }
}

async function readBlocks(source: Source, sink: TarSink): Promise<void> {
  const seen = new Set<string>();
  let total = 0;
  for (;;) {
    /* oxlint-disable no-await-in-loop -- one entry after the other */
    const header = await source.take(BLOCK_BYTES);
    // Two blocks of zeros end an archive.
    if (header.every((byte) => byte === 0)) return;
    const entry = readHeader(header);
    total += entry.bytes;
    if (total > MAX_BYTES) throw bad(`it unpacks to more than ${MAX_BYTES} bytes`);
    if (entry.isFolder) continue;
    if (seen.has(entry.path)) throw bad(`${entry.path} is in it twice`);
    seen.add(entry.path);
    if (seen.size > MAX_ENTRIES) throw bad(`it holds more than ${MAX_ENTRIES} files`);
    source.leftOver = entry.bytes;
    await sink(entry, source.pieces());
    await source.skip(source.leftOver);
    await source.skip((BLOCK_BYTES - (entry.bytes % BLOCK_BYTES)) % BLOCK_BYTES);
    /* oxlint-enable no-await-in-loop */
  }
}

function readHeader(block: Uint8Array): TarFile & { readonly isFolder: boolean } {
  const sum = block.reduce((all, byte, at) => all + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  if (text(block, 257, 5) !== 'ustar' || octal(block, 148, 8) !== sum) {
    throw bad('it is not a ustar archive (tar --format=ustar)');
  }
  const prefix = text(block, 345, 155);
  const name = text(block, 0, 100);
  const path = cleanPath(prefix === '' ? name : `${prefix}/${name}`);
  const type = String.fromCharCode(block[156] ?? 0);
  const isFolder = type === '5';
  if (!isFolder && type !== '0' && type !== '\0') {
    throw bad(`${path} is neither a file nor a folder (type ${type})`);
  }
  const bytes = isFolder ? 0 : octal(block, 124, 12);
  return { path, bytes, isExecutable: (octal(block, 100, 8) & 0o100) !== 0, isFolder };
}

function text(block: Uint8Array, from: number, length: number): string {
  const field = block.subarray(from, from + length);
  const end = field.indexOf(0);
  return Buffer.from(end < 0 ? field : field.subarray(0, end)).toString('utf8');
}

function octal(block: Uint8Array, from: number, length: number): number {
  const digits = text(block, from, length).trim();
  if (!/^[0-7]+$/.test(digits)) throw bad('a number in it is not octal');
  return Number.parseInt(digits, 8);
}

function cleanPath(path: string): string {
  const parts = path.replace(/^\.\//, '').replace(/\/$/, '').split('/');
  const isTop = path === './' || path === '.';
  if (!isTop && parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw bad(`${JSON.stringify(path)} leads out of it`);
  }
  return parts.join('/');
}

function bad(why: string): TrustError {
  return new TrustError('BAD_PACKAGE', `this is no archive of an agent: ${why}`);
}

function isZlib(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    String(error.code).startsWith('Z_')
  );
}

/** A stream that is read in portions of a given length. */
class Source {
  readonly #pieces: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();
  /** Bytes of the present file that its sink has not read. */
  leftOver = 0;

  constructor(stream: AsyncIterable<Uint8Array>) {
    this.#pieces = stream[Symbol.asyncIterator]();
  }

  async take(length: number): Promise<Uint8Array> {
    const taken: Uint8Array[] = [];
    for (let missing = length; missing > 0;) {
      // oxlint-disable-next-line no-await-in-loop -- one piece after the other
      const piece = await this.#upTo(missing);
      taken.push(piece);
      missing -= piece.length;
    }
    return Buffer.concat(taken);
  }

  async skip(length: number): Promise<void> {
    for (let missing = length; missing > 0;) {
      // oxlint-disable-next-line no-await-in-loop -- one piece after the other
      missing -= (await this.#upTo(missing)).length;
    }
    this.leftOver = 0;
  }

  /** Those of the present file; what its sink does not read is left over. */
  async *pieces(): AsyncGenerator<Uint8Array> {
    while (this.leftOver > 0) {
      // oxlint-disable-next-line no-await-in-loop -- one piece after the other
      const piece = await this.#upTo(this.leftOver);
      this.leftOver -= piece.length;
      yield piece;
    }
  }

  async #upTo(length: number): Promise<Uint8Array> {
    while (this.#rest.length === 0) {
      // oxlint-disable-next-line no-await-in-loop -- until there is something
      const next = await this.#pieces.next();
      if (next.done === true) throw bad('it ends in the middle');
      this.#rest = next.value;
    }
    const piece = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return piece;
  }
}
