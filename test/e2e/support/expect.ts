import { expect } from '@jest/globals';
import type { Ran } from './agent.ts';

/** Terminals are at least this wide. */
export const COLUMNS = 80;

export function expectNothingLeft({ leftFiles, leftProcesses }: Ran): void {
  expect({ leftFiles, leftProcesses }).toEqual({ leftFiles: [], leftProcesses: [] });
}

/** One line that says what is wrong, nothing on stdout, no stack, nothing left behind. */
export function expectRefusal(ran: Ran, code: 1 | 2, says: string | RegExp): void {
  expect(ran.said).toEqual([expect.stringMatching(/^agent: /)]);
  if (typeof says === 'string') expect(ran.said[0]).toContain(says);
  else expect(ran.said[0]).toMatch(says);
  expect(ran).toMatchObject({ code, out: '' });
  expectNothingLeft(ran);
}

export function expectFits(text: string): void {
  expect(text.split('\n').filter((line) => line.length > COLUMNS)).toEqual([]);
}
