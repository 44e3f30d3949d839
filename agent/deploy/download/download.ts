import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readFile, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { move } from '../../util/durable.ts';
import { codeOf } from '../../util/errors.ts';
import { fileError, writeFileDurably } from '../../util/files.ts';
import { checkRoom, KEEP_FREE_BYTES } from '../disk-room.ts';
import { NotTrusted } from '../tuf/refused.ts';
import {
  httpGet,
  PATIENCE,
  pause,
  pauseMs,
  refusedStatus,
  watched,
  type HttpResponse,
  type Patience,
} from './http.ts';
import { RateLimit } from './rate-limit.ts';

/** What is to be there in the end, as the signed metadata says. */
export interface Wanted {
  readonly url: string;
  readonly bytes: number;
  /** SHA-256, hexadecimal. */
  readonly sha256: string;
}

export interface DownloadOptions {
  readonly signal: AbortSignal;
  readonly patience?: Patience;
  /** No faster than this; no limit when left out. */
  readonly bytesPerSecond?: number | undefined;
  /** Disk space that stays free besides the file. */
  readonly keepFreeBytes?: number;
  readonly onProgress?: (doneBytes: number, ofBytes: number) => void;
}

/** The disk is asked to keep what has come at least this often, so that a power cut costs no more. */
const SYNC_BYTES = 4 * 1024 * 1024;

/**
 * Fetches a file to `path` under its length and hash, and resumes: pieces are kept in `path.part`
 * beside a note of what they belong to, and used again after any cut, restart or power loss. Never
 * longer than announced; the name `path` appears only once the hash was right. Throws NotTrusted
 * (`endless_data`, `wrong_content`, `slow_retrieval`, `missing`, `unreachable`), FileError (`ENOSPC`).
 */
export async function download(
  path: string,
  wanted: Wanted,
  options: DownloadOptions,
): Promise<void> {
  const resumedBytes = await downloadOnce(path, wanted, options);
  if (resumedBytes === null) return;
  // Pieces of a former run may have been damaged on the disk; a second time it is the server's fault.
  const again = resumedBytes > 0 ? await downloadOnce(path, wanted, options) : resumedBytes;
  if (again === null) return;
  const message = `${wanted.url} is not the file that was signed (its SHA-256 differs)`;
  throw new NotTrusted('wrong_content', message);
}

/** Null when it is there; for other content the bytes that were there before, and nothing is left. */
async function downloadOnce(
  path: string,
  wanted: Wanted,
  options: DownloadOptions,
): Promise<number | null> {
  await makeRoom(path);
  const part = await openPart(path, wanted);
  const resumedBytes = part.bytes;
  try {
    const { keepFreeBytes = KEEP_FREE_BYTES } = options;
    await checkRoom(path, wanted.bytes - part.bytes + keepFreeBytes);
    await fillPart(part, wanted, options);
    await part.file.sync();
  } catch (error) {
    throw await explain(error, path, part);
  } finally {
    await part.file.close();
  }
  if (part.hash.digest('hex') === wanted.sha256) return finish(path, part);
  await removePart(path, part.notePath);
  return resumedBytes;
}

/** The pieces so far: the file, its length, and the hash up to there. */
interface Part {
  readonly file: FileHandle;
  readonly notePath: string;
  bytes: number;
  hash: Hash;
  /** Validator of the version the pieces are of, for If-Range. */
  etag: string | null;
}

interface Note {
  readonly sha256: string;
  readonly etag: string | null;
}

function partPath(path: string): string {
  return `${path}.part`;
}

async function makeRoom(path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
  } catch (error) {
    throw fileError('write', path, error);
  }
}

async function openPart(path: string, wanted: Wanted): Promise<Part> {
  const notePath = `${partPath(path)}.json`;
  try {
    const note = await readNote(notePath);
    const file = await open(partPath(path), 'a+');
    if (note?.sha256 !== wanted.sha256) await file.truncate(0);
    const part = { file, notePath, bytes: 0, hash: createHash('sha256'), etag: note?.etag ?? null };
    await hashWhatIsThere(path, part);
    if (part.bytes > wanted.bytes) await restart(part);
    return part;
  } catch (error) {
    throw fileError('write', partPath(path), error);
  }
}

/** A note that cannot be read says nothing: the download starts from zero. */
async function readNote(path: string): Promise<Note | null> {
  try {
    const json: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof json !== 'object' || json === null || !('sha256' in json)) return null;
    const etag = 'etag' in json && typeof json.etag === 'string' ? json.etag : null;
    return { sha256: String(json.sha256), etag };
  } catch (error) {
    if (error instanceof SyntaxError || codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

async function hashWhatIsThere(path: string, part: Part): Promise<void> {
  for await (const piece of createReadStream(partPath(path)) as AsyncIterable<Uint8Array>) {
    part.hash.update(piece);
    part.bytes += piece.length;
  }
}

async function restart(part: Part): Promise<void> {
  await part.file.truncate(0);
  Object.assign(part, { bytes: 0, hash: createHash('sha256'), etag: null });
}

async function fillPart(part: Part, wanted: Wanted, options: DownloadOptions): Promise<void> {
  const { signal, patience = PATIENCE } = options;
  const limit = new RateLimit(options.bytesPerSecond);
  // A line that is cut often gets on; a server that gives a byte a time does not (slow retrieval).
  const leastPerMs =
    Math.min(patience.minBytesPerSecond, (options.bytesPerSecond ?? 1e12) / 2) / 1e3;
  let [before, since] = [part.bytes, performance.now()];
  for (let failures = 0; part.bytes < wanted.bytes;) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- tries come one after the other
      await fetchRest(part, wanted, options, limit);
    } catch (error) {
      if (!isPassing(error)) throw error;
      const gotOn = part.bytes - before > leastPerMs * (performance.now() - since);
      // A try that brought enough for its time counts as a new beginning.
      failures = gotOn ? 1 : failures + 1;
      if (gotOn) [before, since] = [part.bytes, performance.now()];
      if (failures >= patience.tries) throw error;
      // oxlint-disable-next-line no-await-in-loop -- back-off
      await pause(pauseMs(failures, patience.firstPauseMs, Math.random()), signal);
    }
  }
}

function isPassing(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'unreachable' || code === 'slow_retrieval';
}

async function fetchRest(
  part: Part,
  wanted: Wanted,
  options: DownloadOptions,
  limit: RateLimit,
): Promise<void> {
  const { signal, patience = PATIENCE } = options;
  const http = { signal, patience, headers: rangeHeaders(part) };
  const response = await httpGet(wanted.url, http);
  await startAt(part, wanted, response);
  let unsynced = 0;
  for await (const piece of watched(wanted.url, response, http)) {
    if (part.bytes + piece.length > wanted.bytes) {
      const message = `${wanted.url} is longer than the ${wanted.bytes} bytes that are signed`;
      throw new NotTrusted('endless_data', message);
    }
    await part.file.appendFile(piece);
    part.hash.update(piece);
    part.bytes += piece.length;
    unsynced += piece.length;
    if (unsynced >= SYNC_BYTES) {
      await part.file.datasync();
      unsynced = 0;
    }
    options.onProgress?.(part.bytes, wanted.bytes);
    await limit.spend(piece.length, signal);
  }
  if (part.bytes < wanted.bytes) {
    throw new NotTrusted('unreachable', `${wanted.url} ended after ${part.bytes} bytes`);
  }
}

/** If-Range with a weak validator must not be sent (RFC 9110 13.1.5); the hash decides in any case. */
function rangeHeaders({ bytes, etag }: Part): Record<string, string> {
  if (bytes === 0) return {};
  const condition = etag === null || etag.startsWith('W/') ? {} : { 'if-range': etag };
  return { range: `bytes=${bytes}-`, ...condition };
}

/** Continues where the server continues: after our pieces, or from the start of another version. */
async function startAt(part: Part, wanted: Wanted, response: HttpResponse): Promise<void> {
  const { status } = response;
  const continues =
    status === 206 && response.header('content-range')?.startsWith(`bytes ${part.bytes}-`) === true;
  if (status === 200 || status === 416 || (status === 206 && !continues)) await restart(part);
  if (!continues && status !== 200) {
    response.body.destroy();
    if (status === 206 || status === 416) {
      throw new NotTrusted('unreachable', `${wanted.url} answered with another range`);
    }
    throw refusedStatus(wanted.url, status);
  }
  const announced = Number(response.header('content-length'));
  if (announced > wanted.bytes - part.bytes) {
    response.body.destroy();
    const message = `${wanted.url} announces more than the ${wanted.bytes} bytes that are signed`;
    throw new NotTrusted('endless_data', message);
  }
  part.etag = response.header('etag') ?? null;
  const note: Note = { sha256: wanted.sha256, etag: part.etag };
  await writeFileDurably(part.notePath, JSON.stringify(note));
}

async function finish(path: string, part: Part): Promise<null> {
  try {
    await move(partPath(path), path);
    await rm(part.notePath, { force: true });
    return null;
  } catch (error) {
    throw fileError('write', path, error);
  }
}

/** Pieces of a file that lies about itself are of no use; those of a broken line are kept. */
async function explain(error: unknown, path: string, part: Part): Promise<unknown> {
  if (codeOf(error) === 'endless_data') await removePart(path, part.notePath);
  const isDisk = ['ENOSPC', 'EDQUOT', 'EIO', 'EROFS'].includes(codeOf(error) ?? '');
  return isDisk && !(error instanceof NotTrusted) ? fileError('write', path, error) : error;
}

async function removePart(path: string, notePath: string): Promise<void> {
  await rm(partPath(path), { force: true });
  await rm(notePath, { force: true });
}
