import { readlink, realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { codeOf } from './errors.ts';

/** As many as Linux follows. */
const MOST_LINKS = 40;

/**
 * The path that a symbolic link leads to in the end, be there a file or not yet; any other path as it is.
 * Throws system errors.
 */
export async function followLinks(path: string): Promise<string> {
  let end = path;
  for (let followed = 0; followed < MOST_LINKS; followed++) {
    // oxlint-disable-next-line no-await-in-loop -- one link leads to the other
    const target = await targetOf(end);
    if (target === null) return end;
    // oxlint-disable-next-line no-await-in-loop -- as above
    end = resolve(await realpath(dirname(end)), target);
  }
  throw Object.assign(new Error('too many links'), { code: 'ELOOP' });
}

async function targetOf(path: string): Promise<string | null> {
  try {
    return await readlink(path);
  } catch (error) {
    // EINVAL: it is no link. Whatever else is wrong shows when it is written.
    if (['EINVAL', 'ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return null;
    throw error;
  }
}
