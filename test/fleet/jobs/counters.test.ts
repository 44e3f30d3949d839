import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { Counters } from '../../../agent/fleet/jobs/counters.ts';
import { folderWith } from '../support/harness.ts';

const silent = () => undefined;

test('one damaged file does not make a device forget what it has run', async () => {
  const path = join(folderWith({}), 'counters.json');
  const counters = await Counters.open(path, silent);
  await counters.raiseRelease('kws', 7);
  await counters.raiseDocument('job', 12);
  const whole = readFileSync(path, 'utf8');
  const warned: string[] = [];
  for (const damage of ['', whole.slice(0, 20), '\0'.repeat(80), '[]']) {
    writeFileSync(path, damage);
    // oxlint-disable-next-line no-await-in-loop -- one damage after the other
    const again = await Counters.open(path, (text) => warned.push(text));
    expect([again.release('kws'), again.document('job')]).toEqual([7, 12]);
  }
  expect(warned).toEqual(Array(4).fill(`${path} is damaged: its copy is used`));
  // The next change mends it.
  await (await Counters.open(path, silent)).raiseRelease('kws', 8);
  rmSync(`${path}.copy`);
  expect((await Counters.open(path, silent)).release('kws')).toBe(8);
});

test('where both are damaged nothing is guessed', async () => {
  const path = join(folderWith({}), 'counters.json');
  await (await Counters.open(path, silent)).raiseRelease('kws', 7);
  writeFileSync(path, '{');
  writeFileSync(`${path}.copy`, '{');
  await expect(Counters.open(path, silent)).rejects.toMatchObject({
    code: 'DAMAGED',
    message: expect.stringMatching(/counters\.json is damaged, and so is its copy: .*remove both/),
  });
});

test('what is wrong with the file is said', async () => {
  const path = join(folderWith({}), 'counters.json');
  const warned: string[] = [];
  const open = () => Counters.open(path, (text) => warned.push(text));
  await (await open()).raiseRelease('kws', 7);
  rmSync(path);
  expect((await open()).release('kws')).toBe(7);
  mkdirSync(path);
  expect((await open()).release('kws')).toBe(7);
  expect(warned).toEqual([
    `${path} is missing: its copy is used`,
    `${path} cannot be read (EISDIR): its copy is used`,
  ]);
  rmSync(path, { recursive: true });
  writeFileSync(`${path}.copy`, '{');
  await expect(open()).rejects.toThrow('counters.json is missing, and its copy is damaged: ');
});
