import { stripVTControlCharacters } from 'node:util';
import { afterAll, describe, expect, test } from '@jest/globals';
import { programPath } from '../support/available.ts';
import { agent, removeFolders, startAgent } from './support/agent.ts';
import { NOTHING_LEFT } from './support/expect.ts';
import { QUICK, smallDemo, testFiles } from './support/files.ts';

/** On a real terminal of 80 columns, as `script` makes one (util-linux). */

afterAll(removeFolders);
const LIMIT_MS = 60_000;
const DEMO = smallDemo(testFiles());
const ARGS = ['bench', DEMO, ...QUICK, '--precision', 'int8-static'] as const;
const through = [
  'sh',
  '-c',
  'exec script --quiet --return --command "stty cols 80 rows 24; $*" /dev/null',
  'sh',
];
const terminal = (env: Readonly<Record<string, string>> = {}) => ({
  through,
  env: { TERM: 'xterm', SHELL: '/bin/sh', ...env },
});

const WIPE = '\r\u001B[K';

/** Whether anything but the line of progress is controlled. */
const styles = (out: string) => out.replaceAll(WIPE, '').includes('\u001B');

/** What was drawn, piece by piece: a line of progress is one piece each time it changes. */
const pieces = (out: string) => out.split('\n').flatMap((line) => line.split(WIPE));

const maybe = programPath('script') === undefined ? describe.skip : describe;

maybe('a terminal', () => {
  test(
    'shows one line of progress that redraws itself, and wipes it before the table',
    async () => {
      const ran = await agent(ARGS, terminal());
      expect(ran).toMatchObject({ code: 0, ...NOTHING_LEFT });
      const progress = ran.out.slice(0, ran.out.indexOf('Machine '));
      expect(progress.split('\n')).toHaveLength(1);
      expect(progress.endsWith(WIPE)).toBe(true);
      expect(progress).toMatch(/\[#*\.*\] \d+\/32 calibrating/);
      expect(progress).toMatch(/\[#*\.*\] \d+\/10 measuring candidates in turn/);
      const wide = pieces(ran.out).filter(
        (one) => stripVTControlCharacters(one).trimEnd().length > 80,
      );
      expect(wide.filter((line) => !line.includes(DEMO))).toEqual([]);
      expect(styles(ran.out)).toBe(true);
    },
    LIMIT_MS,
  );

  test(
    'NO_COLOR is respected',
    async () => {
      const ran = await agent(ARGS, terminal({ NO_COLOR: '1' }));
      expect(ran.out).toContain('Chosen: ');
      expect(styles(ran.out)).toBe(false);
    },
    LIMIT_MS,
  );

  test(
    'closed under the agent, it leaves nothing',
    async () => {
      const running = startAgent([...ARGS, '--min-time', '30'], terminal());
      await running.childNamed(/worker-main/);
      running.child.kill('SIGKILL');
      expect(await running.ended).toMatchObject({ signal: 'SIGKILL', ...NOTHING_LEFT });
    },
    LIMIT_MS,
  );
});
