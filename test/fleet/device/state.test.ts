import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { refuse } from '../../../agent/fleet/device/refusals.ts';
import { refusalCounter } from '../../../agent/fleet/device/refusals.ts';
import { sessionNumbers } from '../../../agent/fleet/device/session-number.ts';
import { openTwin } from '../../../agent/fleet/device/twin.ts';
import { folderWith } from '../support/harness.ts';

const silent = () => undefined;

test('a disk that takes nothing does not keep the device offline, and numbers grow', async () => {
  const warned: string[] = [];
  const other = folderWith({ 'session.json': '{"v":1,"session":7}' });
  const full = sessionNumbers(
    other,
    (text) => warned.push(text),
    () => 5_000_000,
  );
  expect(await full.next()).toBe(8);
  // A folder in the place of the file: nobody can replace it, root neither.
  rmSync(join(other, 'session.json'));
  mkdirSync(join(other, 'session.json'));
  expect([await full.next(), await full.next()]).toEqual([5000, 5001]);
  expect(warned).toEqual([expect.stringContaining('counted on by the clock')]);
});

test('session numbers go on after a restart', async () => {
  const state = folderWith({});
  const first = sessionNumbers(state, silent);
  expect([await first.next(), await first.next()]).toEqual([1, 2]);
  expect(await sessionNumbers(state, silent).next()).toBe(3);
});

test('a damaged count goes on from the clock, above every earlier number', async () => {
  const state = folderWith({ 'session.json': '{"v":1,"sess' });
  const warnings: string[] = [];
  const numbers = sessionNumbers(
    state,
    (message) => warnings.push(message),
    () => 1_700_000_000_500,
  );
  expect(await numbers.next()).toBe(1_700_000_001);
  expect(warnings).toHaveLength(1);
});

const wanted = (counter: number, settings: object, deviceId = 'pi-7') => ({
  type: 'twin',
  deviceId,
  counter,
  expires: '2030-01-01T00:00:00Z',
  settings,
});

/** A twin whose documents are taken as signed, on a machine whose clock says 5 s after 1970. */
function trusting(state: string, warn: (message: string) => void = silent, nowMs = 5000) {
  return openTwin({
    state,
    deviceId: 'pi-7',
    verify: async (document) => ({ signed: document }),
    warn,
    nowMs: () => nowMs,
  });
}

const reported = (payload: string): unknown => JSON.parse(payload);

test('settings are taken over, kept over a restart, and never go back', async () => {
  const state = folderWith({});
  const twin = await trusting(state);
  expect(await twin.accept(wanted(4, { logLevel: 'debug' }))).toEqual({ changed: true });
  expect(await twin.accept(wanted(4, { logLevel: 'debug' }))).toEqual({ changed: false });
  expect(await twin.accept(wanted(3, { logLevel: 'error' }))).toMatchObject({ refused: 'OLDER' });
  const again = await trusting(state);
  expect(again.settings()).toEqual({ logLevel: 'debug' });
  expect(await again.accept(wanted(3, {}))).toMatchObject({ refused: 'OLDER' });
  expect(reported(again.message(new Date()).payload)).toMatchObject({
    rev: 6,
    settings: {
      counter: 4,
      applied: { logLevel: 'debug' },
      refused: { counter: 3, code: 'OLDER' },
    },
  });
});

test('other settings under a counter that is in force are refused', async () => {
  const twin = await trusting(folderWith({}));
  expect(await twin.accept(wanted(4, { logLevel: 'debug' }))).toEqual({ changed: true });
  expect(await twin.accept(wanted(4, { logLevel: 'error' }))).toMatchObject({
    refused: 'ID_REUSE',
  });
  expect(twin.settings()).toEqual({ logLevel: 'debug' });
  // A job may have changed them meanwhile: the twin itself is still the same.
  await twin.setSettings({ tags: ['a'] });
  expect(await twin.accept(wanted(4, { logLevel: 'debug' }))).toEqual({ changed: false });
});

test('a damaged twin is taken from its copy: no older settings come back', async () => {
  const state = folderWith({});
  await (await trusting(state)).accept(wanted(4, { logLevel: 'debug' }));
  const warned: string[] = [];
  for (const damage of ['', '{"v":1,', '\0\0\0\0', '{"v":1}']) {
    writeFileSync(join(state, 'twin.json'), damage);
    // oxlint-disable-next-line no-await-in-loop -- one damage after the other
    const twin = await trusting(state, (text) => warned.push(text));
    expect(twin.settings()).toEqual({ logLevel: 'debug' });
    // oxlint-disable-next-line no-await-in-loop -- see above
    expect(await twin.accept(wanted(3, {}))).toMatchObject({ refused: 'OLDER' });
  }
  rmSync(join(state, 'twin.json'));
  expect((await trusting(state)).settings()).toEqual({ logLevel: 'debug' });
  expect(warned).toEqual(Array(4).fill(`${join(state, 'twin.json')} is damaged: its copy is used`));
});

test('a twin that is lost with its copy reports above what readers may know of it', async () => {
  const state = folderWith({});
  const revOf = (twin: Awaited<ReturnType<typeof trusting>>) =>
    Number(JSON.parse(twin.message(new Date()).payload).rev);
  const first = await trusting(state, silent, 1_700_000_000_000);
  for (let changes = 0; changes < 3; changes += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one change after the other
    await first.setActiveModel(null);
  }
  expect(revOf(first)).toBe(1_700_000_003);
  const warned: string[] = [];
  writeFileSync(join(state, 'twin.json'), '{');
  writeFileSync(join(state, 'twin.json.copy'), '{');
  const damaged = await trusting(state, (text) => warned.push(text), 1_700_000_100_000);
  expect(revOf(damaged)).toBe(1_700_000_100);
  expect(warned).toEqual([expect.stringContaining('and so is its copy')]);
  // A new disk in the same device.
  expect(revOf(await trusting(folderWith({}), silent, 1_700_000_200_000))).toBe(1_700_000_200);
  // One that starts without the time counts by it as soon as it is there.
  let nowMs = 3000;
  const early = await openTwin({
    state: folderWith({}),
    deviceId: 'pi-7',
    verify: async (document) => ({ signed: document }),
    warn: silent,
    nowMs: () => nowMs,
  });
  expect(revOf(early)).toBe(3);
  nowMs = 1_700_000_300_000;
  await early.setActiveModel(null);
  expect(revOf(early)).toBe(1_700_000_300);
});

test('a change that the disk refused is none', async () => {
  const state = folderWith({});
  const twin = await trusting(state);
  await twin.accept(wanted(4, { logLevel: 'debug' }));
  const before = twin.message(new Date(0));
  // A folder in the place of the copy: nobody can replace it, root neither.
  rmSync(join(state, 'twin.json.copy'));
  mkdirSync(join(state, 'twin.json.copy'));
  await expect(twin.accept(wanted(5, { logLevel: 'error' }))).rejects.toThrow('cannot write');
  expect(twin.settings()).toEqual({ logLevel: 'debug' });
  expect(twin.message(new Date(0))).toEqual(before);
  rmSync(join(state, 'twin.json.copy'), { recursive: true });
  expect(await twin.accept(wanted(5, { logLevel: 'error' }))).toEqual({ changed: true });
  expect((await trusting(state)).settings()).toEqual({ logLevel: 'error' });
});

test('what nobody could verify is looked at again', async () => {
  let isKnown = false;
  const twin = await openTwin({
    state: folderWith({}),
    deviceId: 'pi-7',
    verify: async (document) => (isKnown ? { signed: document } : refuse('UNVERIFIED', 'no key')),
    warn: silent,
  });
  await twin.accept(wanted(1, { tags: ['a'] }));
  expect(await twin.retry()).toMatchObject({ refused: 'UNVERIFIED' });
  isKnown = true;
  expect(await twin.retry()).toEqual({ changed: true });
  expect(twin.settings()).toEqual({ tags: ['a'] });
  expect(await twin.retry()).toEqual({ changed: false });
});

test.each<[string, object, string]>([
  ['for another device', wanted(1, {}, 'pi-8'), 'FOREIGN_DEVICE'],
  ['with a setting that may not be set from afar', wanted(1, { mqtt: {} }), 'BAD_FIELD'],
  ['of another type', { ...wanted(1, {}), type: 'job' }, 'BAD_FIELD'],
])('settings are refused %s', async (_name, document, code) => {
  const state = folderWith({});
  const twin = await trusting(state);
  expect(await twin.accept({ ...document })).toMatchObject({ refused: code });
  expect(twin.settings()).toEqual({});
});

test('nothing is taken over that is not verified', async () => {
  const state = folderWith({});
  const verify = async () => refuse('UNVERIFIED', 'no key');
  const twin = await openTwin({ state, deviceId: 'pi-7', verify, warn: silent });
  expect(await twin.accept(wanted(1, { tags: ['a'] }))).toMatchObject({ refused: 'UNVERIFIED' });
  expect(reported(twin.message(new Date()).payload)).toMatchObject({
    settings: { counter: null, applied: {}, refused: { code: 'UNVERIFIED' } },
  });
});

test('counters of the documents that were taken are told, for whoever signs the next', async () => {
  const taken = { job: 7 };
  const twin = await openTwin({
    state: folderWith({}),
    deviceId: 'pi-7',
    verify: async (document) => ({ signed: document }),
    warn: silent,
    counters: () => taken,
  });
  const counters = () => reported(twin.message(new Date()).payload);
  expect(counters()).toMatchObject({ counters: { job: 7, twin: 0 } });
  taken.job = 8;
  await twin.accept(wanted(4, {}));
  expect(counters()).toMatchObject({ counters: { job: 8, twin: 4 } });
});

test('a flood of refusals is counted in full and logged in part', () => {
  const logged: string[] = [];
  let clock = 0;
  const counter = refusalCounter(
    (code) => logged.push(code),
    () => clock,
  );
  for (let n = 0; n < 1000; n += 1) counter.count(refuse('NOT_JSON', ''), 'topic');
  expect(logged).toHaveLength(10);
  clock = 60_000;
  counter.count(refuse('TOO_LARGE', ''), 'topic');
  expect(logged).toHaveLength(11);
  expect(counter.counts()).toEqual({ NOT_JSON: 1000, TOO_LARGE: 1 });
});

test('a twin knows when its counters have moved on since it was told', async () => {
  const counters = { job: 10, epoch: 1 };
  const twin = await openTwin({
    state: folderWith({}),
    deviceId: 'pi-7',
    verify: async (document) => ({ signed: document }),
    warn: silent,
    counters: () => ({ ...counters }),
  });
  // The first connection tells it.
  expect(twin.isBehind(0)).toBe(false);
  twin.message(new Date());
  expect(twin.isBehind(0)).toBe(false);
  counters.job = 18;
  expect([twin.isBehind(0), twin.isBehind(8)]).toEqual([true, false]);
  counters.job = 19;
  expect(twin.isBehind(8)).toBe(true);
  twin.message(new Date());
  expect(twin.isBehind(0)).toBe(false);
  // A leader that does not know the epoch would be refused.
  counters.epoch = 2;
  expect(twin.isBehind(8)).toBe(true);
});
