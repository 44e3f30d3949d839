import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { unsentSchema } from '../../agent/contracts/messages.ts';
import type { OutgoingMessage } from '../../agent/fleet/protocol/outgoing.ts';
import { ReportError, type ReportErrorCode } from '../../agent/fleet/report-error.ts';
import {
  flushUnsent,
  MAX_ASIDE,
  MAX_UNSENT,
  saveUnsent,
  stateFolder,
} from '../../agent/fleet/unsent.ts';

const BROKER = 'mqtt://h:1883';
let state = '';
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'edgefit-unsent-'));
});
afterEach(() => {
  rmSync(state, { recursive: true, force: true });
});

const at = (second: number) => new Date(Date.UTC(2026, 2, 1, 12, 0, second));
const bench = (id: string): OutgoingMessage => ({
  topic: `edgefit/v1/d/a/up/bench/${id}`,
  payload: `{"id":"${id}"}`,
  retain: false,
  schema: 'edgefit/bench/1',
});
const birth = (payload: string): OutgoingMessage => ({
  topic: 'edgefit/v1/d/a/up/birth',
  payload,
  retain: true,
  schema: 'edgefit/birth/1',
});

/** What a flush sends, in order. */
async function flushed(broker = BROKER, superseded?: ReadonlySet<string>): Promise<string[]> {
  const sent: string[] = [];
  await flushUnsent(
    state,
    broker,
    (message) => {
      sent.push(message.payload);
      return Promise.resolve();
    },
    superseded,
  );
  return sent;
}

test('messages come back byte for byte, oldest first, and only once', async () => {
  await saveUnsent(state, BROKER, [bench('c')], at(2));
  await saveUnsent(state, BROKER, [bench('b'), bench('a')], at(1));
  expect(await flushed()).toEqual(['{"id":"b"}', '{"id":"a"}', '{"id":"c"}']);
  expect(await flushed()).toEqual([]);
});

test('the files are documents of their schema', async () => {
  const { folder } = await saveUnsent(state, BROKER, [bench('a')], at(1));
  const [name] = readdirSync(folder);
  const document: unknown = JSON.parse(readFileSync(join(folder, name!), 'utf8'));
  expect(unsentSchema.parse(document)).toEqual({
    schema: 'edgefit/unsent/1',
    broker: BROKER,
    savedAt: '2026-03-01T12:00:01.000Z',
    message: bench('a'),
  });
});

test('a state folder that does not exist holds nothing', async () => {
  state = join(state, 'missing');
  expect(await flushed()).toEqual([]);
});

test('a message goes to its own broker only', async () => {
  await saveUnsent(state, BROKER, [bench('a')], at(1));
  expect(await flushed('mqtt://other:1883')).toEqual([]);
  expect(await flushed()).toEqual(['{"id":"a"}']);
});

test('a newer birth replaces an older one, a benchmark replaces nothing', async () => {
  await saveUnsent(state, BROKER, [birth('old'), bench('a')], at(1));
  await saveUnsent(state, BROKER, [birth('new'), bench('a')], at(2));
  expect(await flushed()).toEqual(['{"id":"a"}', 'new', '{"id":"a"}']);
});

test('a birth older than one just published is dropped unsent', async () => {
  await saveUnsent(state, BROKER, [birth('old'), bench('a')], at(1));
  expect(await flushed(BROKER, new Set([birth('').topic]))).toEqual(['{"id":"a"}']);
  expect(await flushed()).toEqual([]);
});

test('a failure keeps that message and all later ones', async () => {
  await saveUnsent(state, BROKER, [bench('a'), bench('b'), bench('c')], at(1));
  const failing = flushUnsent(state, BROKER, ({ payload }) =>
    payload.includes('b') ? Promise.reject(new Error('gone')) : Promise.resolve(),
  );
  await expect(failing).rejects.toThrow('gone');
  expect(await flushed()).toEqual(['{"id":"b"}', '{"id":"c"}']);
});

test.each<ReportErrorCode>(['REFUSED', 'NOT_AUTHORIZED', 'TOO_LARGE'])(
  'a message that the broker refuses (%s) is set aside and does not hold up the others',
  async (code) => {
    const { folder } = await saveUnsent(state, BROKER, [bench('a'), bench('b')], at(1));
    const [first = ''] = readdirSync(folder).toSorted();
    const result = await flushUnsent(state, BROKER, ({ payload }) =>
      payload.includes('a') ? Promise.reject(new ReportError(code, 'no')) : Promise.resolve(),
    );
    const path = join(folder, `${first}.refused`);
    expect(result).toEqual({ sent: 1, corrupt: [], refused: [{ path, why: 'no' }] });
    expect(readdirSync(folder)).toEqual([`${first}.refused`]);
    expect(await flushed()).toEqual([]);
  },
);

test.each<ReportErrorCode>(['UNREACHABLE', 'TIMEOUT', 'TLS', 'QUOTA'])(
  'a broker that may take it later (%s) ends the flush, and nothing is set aside',
  async (code) => {
    await saveUnsent(state, BROKER, [bench('a'), bench('b')], at(1));
    const failing = flushUnsent(state, BROKER, () => Promise.reject(new ReportError(code, 'no')));
    await expect(failing).rejects.toMatchObject({ code });
    expect(await flushed()).toEqual(['{"id":"a"}', '{"id":"b"}']);
  },
);

test('what is set aside does not fill the card either', async () => {
  const ids = Array.from({ length: MAX_ASIDE + 3 }, (_, index) => `n${index}`);
  const { folder } = await saveUnsent(state, BROKER, ids.map(bench), at(1), 'refused');
  expect(readdirSync(folder)).toHaveLength(MAX_ASIDE);
  expect(await flushed()).toEqual([]);
});

test.each(['', '{', '{}', 'null', '{"schema":"edgefit/unsent/2"}'])(
  'a file that holds %j is set aside and does not block the others',
  async (text) => {
    const { folder } = await saveUnsent(state, BROKER, [bench('a')], at(1));
    writeFileSync(join(folder, '20200101T000000000Z-000-0.json'), text);
    const result = await flushUnsent(state, BROKER, () => Promise.resolve());
    expect(result.sent).toBe(1);
    expect(result.corrupt).toEqual([join(folder, '20200101T000000000Z-000-0.json.corrupt')]);
    expect((await flushUnsent(state, BROKER, () => Promise.resolve())).corrupt).toEqual([]);
  },
);

test('the oldest go when there are too many', async () => {
  const ids = Array.from({ length: MAX_UNSENT + 2 }, (_, index) => `n${index}`);
  expect(await saveUnsent(state, BROKER, ids.map(bench), at(1))).toMatchObject({ dropped: 2 });
  const sent = await flushed();
  expect(sent).toHaveLength(MAX_UNSENT);
  expect(sent[0]).toBe('{"id":"n2"}');
});

test('a folder that cannot be written says so', async () => {
  const file = join(state, 'file');
  writeFileSync(file, '');
  await expect(saveUnsent(file, BROKER, [bench('a')], at(1))).rejects.toThrow(file);
});

describe('the state folder', () => {
  test.each([
    [{ EDGEFIT_STATE_DIR: '/var/lib/edgefit', XDG_STATE_HOME: '/x' }, '/var/lib/edgefit'],
    [{ XDG_STATE_HOME: '/x', HOME: '/home/pi' }, '/x/edgefit'],
    [{ XDG_STATE_HOME: 'relative', HOME: '/home/pi' }, '/home/pi/.local/state/edgefit'],
    [{ EDGEFIT_STATE_DIR: '', HOME: '/home/pi' }, '/home/pi/.local/state/edgefit'],
  ])('of %j', (env, folder) => {
    expect(stateFolder(env)).toBe(folder);
  });
});
