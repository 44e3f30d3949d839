import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { readTwice, writeTwice } from '../../agent/util/second-copy.ts';
import { folderWith } from '../fleet/support/harness.ts';

const read = (path: string) => readTwice(path, (text) => Number(JSON.parse(text).count));

test('a copy that is lost, damaged or of before is written anew while the file is whole', async () => {
  const path = join(folderWith({}), 'numbers.json');
  const copy = `${path}.copy`;
  await writeTwice(path, '{"count":6}');
  const faults: readonly (() => void)[] = [
    () => rmSync(copy),
    () => writeFileSync(copy, '{"cou'),
    // An agent that knew of no copies has written the file alone.
    () => writeFileSync(path, '{"count":7}'),
  ];
  for (const fault of faults) {
    fault();
    // oxlint-disable-next-line no-await-in-loop -- one fault after the other
    expect(await read(path)).toMatchObject({ state: 'whole' });
    expect(readFileSync(copy, 'utf8')).toBe(readFileSync(path, 'utf8'));
  }
  writeFileSync(path, '');
  expect(await read(path)).toEqual({ state: 'from-copy', value: 7, why: 'is damaged' });
});

test('a copy that cannot be written does not keep the file from being read', async () => {
  const path = join(folderWith({ 'numbers.json': '{"count":6}' }), 'numbers.json');
  // Nobody can replace a folder by a file, root neither.
  mkdirSync(`${path}.copy`);
  expect(await read(path)).toEqual({ state: 'whole', value: 6 });
});
