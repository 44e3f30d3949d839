import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { codeOf, messageOf } from '../../util/errors.ts';
import { fileError, writeFileDurably } from '../../util/files.ts';

/** Documents of the state folder that nobody else reads carry a version too. */
const storedSchema = z.object({ v: z.literal(1), session: z.int().positive() });

export interface SessionNumbers {
  /** The next number, on the disk before this resolves if the disk takes it. Throws FileError. */
  readonly next: () => Promise<number>;
}

/**
 * Numbers the connections of a device. They only grow, also over power cuts: the number is written
 * before the broker hears of it, because a will with that number may then come at any time.
 * `warn` is told when the file was damaged; the count then goes on from the clock, in seconds,
 * which no count of connections has reached.
 */
export function sessionNumbers(
  state: string,
  warn: (message: string) => void,
  now: () => number = Date.now,
): SessionNumbers {
  const path = join(state, 'session.json');
  let last: number | null = null;
  let isWarned = false;
  return {
    next: async () => {
      last ??= await readLast(path, warn, now);
      last += 1;
      try {
        await writeFileDurably(path, `${JSON.stringify({ v: 1, session: last })}\n`);
        isWarned = false;
      } catch (error) {
        // A full disk must not keep the device offline. By the clock it grows over a restart, too.
        last = Math.max(last, Math.floor(now() / 1000));
        if (!isWarned) warn(`${messageOf(error)}: sessions are counted on by the clock`);
        isWarned = true;
      }
      return last;
    },
  };
}

async function readLast(path: string, warn: (message: string) => void, now: () => number) {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 0;
    throw fileError('read', path, error);
  }
  try {
    return storedSchema.parse(JSON.parse(text)).session;
  } catch {
    // Whatever is wrong with it, the count must not start again at 1.
    warn(`${path} is damaged: sessions are counted on from the clock`);
    return Math.floor(now() / 1000);
  }
}
