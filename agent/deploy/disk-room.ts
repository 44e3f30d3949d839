import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileError } from '../util/files.ts';

/** What stays free on the disk of a device besides what is brought onto it. */
export const KEEP_FREE_BYTES = 16 * 1024 * 1024;

/**
 * Refuses what the disk has no room for before its first byte is written, not when it is full. Throws
 * FileError (`ENOSPC`); `path` names what would be written, its folder is there.
 */
export async function checkRoom(path: string, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(path));
  const free = bavail * bsize;
  if (free >= neededBytes) return;
  const text = `${neededBytes} bytes are needed and ${free} are free`;
  throw fileError('write', path, Object.assign(new Error(text), { code: 'ENOSPC' }));
}
