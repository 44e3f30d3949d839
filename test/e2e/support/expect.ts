import { expect } from '@jest/globals';
import type { Ran } from './agent.ts';

/** Terminals are at least this wide. */
const COLUMNS = 80;

/** What every run leaves, however it ended: for `toMatchObject`. */
export const NOTHING_LEFT = { leftFiles: [], leftProcesses: [] } as const;

/** A run that ended well: for `toMatchObject`. */
export const DONE = { code: 0, said: [], ...NOTHING_LEFT } as const;

/**
 * A run that ended with one line saying what is wrong, nothing on stdout, no stack and nothing left
 * behind: for `toMatchObject`. Code 2 is the input's fault, 1 the machine's.
 */
export function refusal(code: 1 | 2, says: string | RegExp) {
  const line =
    typeof says === 'string' ? expect.stringContaining(says) : expect.stringMatching(says);
  return { code, out: '', said: [line], ...NOTHING_LEFT };
}

/** Lines that an 80-column terminal would break; `paths` may be as long as they are. */
export function tooWide({ out }: Pick<Ran, 'out'>, ...paths: readonly string[]): readonly string[] {
  const text = paths.reduce((rest, path) => rest.replaceAll(path, ''), out);
  return text.split('\n').filter((line) => line.length > COLUMNS);
}
