import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { ClassicLevel } from 'classic-level';
import { Names, type Database } from '../../../../agent/dashboard/server/history/names.ts';

let folder = '';
let db: Database;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgefit-names-'));
  db = new ClassicLevel<Buffer, Buffer>(folder, { keyEncoding: 'buffer', valueEncoding: 'buffer' });
});
afterEach(async () => {
  await db.close();
  await rm(folder, { recursive: true, force: true });
});

test('a number that could not be stored is stored with what uses it next', async () => {
  const names = await Names.load(db);
  expect([names.deviceFor('pi-1'), names.deviceFor('pi-2')]).toEqual([0, 1]);
  // The disk is full: nothing of this was written. Later there is room.
  names.deviceFor('pi-2');
  names.metricFor('socCelsius');
  const named = names.unsaved();
  names.deviceFor('pi-3');
  await db.batch([...named]);
  names.saved(named);
  expect(names.unsaved()).toHaveLength(1);
  const again = await Names.load(db);
  expect([again.device('pi-1'), again.device('pi-2'), again.device('pi-3')]).toEqual([
    0,
    1,
    undefined,
  ]);
  expect(again.metric('socCelsius')).toBe(0);
});

test('a name of our agents has room when all others are taken', async () => {
  const names = await Names.load(db);
  for (let at = 0; at < 1000; at += 1) names.metricFor(`other-${at}`);
  expect(names.metricFor('one-more')).toBeNull();
  expect(names.metricFor('socCelsius')).toBe(1000);
  expect(names.metricFor('a b')).toBeNull();
});
