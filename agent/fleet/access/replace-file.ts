import { chmod, chown, stat } from 'node:fs/promises';
import { replaceFile } from '../../util/durable.ts';

/** Of a file that was not there: everybody may read it. */
const NEW_MODE = 0o644;

/**
 * Replaces a file of the broker in one step. It keeps its owner, where that may be, and its mode: the
 * broker has to go on reading it. Throws system errors.
 */
export async function replaceBrokerFile(path: string, text: string): Promise<void> {
  const old = await stat(path).catch(() => null);
  await replaceFile(path, text);
  if (old !== null) await chown(path, old.uid, old.gid).catch(() => undefined);
  await chmod(path, old === null ? NEW_MODE : old.mode & 0o7777);
}
