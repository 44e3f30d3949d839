import { describe, expect, test } from '@jest/globals';
import { readFleetMessage } from '../../../agent/fleet/roster/read.ts';
import { Roster } from '../../../agent/fleet/roster/roster.ts';
import { card, NOW_MS, record, seen, status, telemetry, twin, type Wire } from './messages.ts';

/** A roster that has heard these live, one second after the other. */
function heard(...wires: readonly Wire[]): Roster {
  const roster = new Roster();
  wires.forEach((wire, at) => roster.apply(seen(wire), { nowMs: NOW_MS + at * 1000 }));
  return roster;
}

const at = (ms: number) => new Date(NOW_MS + ms).toISOString();

describe('a roster', () => {
  test('puts a row together from status, card, twin, telemetry and a job', () => {
    const model = {
      name: 'kws',
      version: '2',
      precision: 'int8',
      digest: 'd',
      releaseCounter: 4,
    };
    const lastBench = { p90Ms: 12.5, accuracy: { metric: 'top1', value: 0.9 } };
    const roster = heard(
      card('pi-7'),
      status('pi-7', { session: 3 }),
      twin('pi-7', { activeModel: model, lastBench, counters: { job: 8, twin: 2 } }),
      telemetry('pi-7', { socCelsius: 61.5, throttled: 1, unknownMetric: 3 }),
      record('pi-7', 'j1', { status: 'IN_PROGRESS', phase: 'fitting', seq: 4 }),
    );
    expect(roster.get('pi-7')).toEqual({
      deviceId: 'pi-7',
      state: 'online',
      session: 3,
      lastSeenMs: NOW_MS + 4000,
      class: 'rpi-5',
      board: 'Raspberry Pi 5 Model B Rev 1.0',
      arch: 'arm64',
      tags: ['site-a'],
      agent: '0.1.0',
      precisions: ['int8', 'fp16', 'fp32'],
      accelerators: [],
      jobTypes: ['deploy', 'rollback'],
      keyIds: ['a'.repeat(64)],
      model,
      p90Ms: 12.5,
      accuracy: { metric: 'top1', value: 0.9 },
      celsius: 61.5,
      throttled: true,
      job: { jobId: 'j1', jobType: 'deploy', phase: 'fitting', status: 'IN_PROGRESS' },
      cloned: false,
      counters: { job: 8, twin: 2 },
    });
  });

  test('takes the will of an older connection for history', () => {
    const late = status('a', { state: 'offline', session: 4, cause: 'lost', ts: null });
    const roster = heard(card('a'), status('a', { session: 5 }), late);
    expect(roster.get('a')?.state).toBe('online');
    roster.apply(seen(status('a', { state: 'offline', session: 5 })), { nowMs: NOW_MS + 9000 });
    expect(roster.get('a')).toMatchObject({ state: 'offline', session: 5 });
  });

  test('takes lower revisions and sequence numbers for history', () => {
    const roster = heard(
      card('a'),
      twin('a', { rev: 5, counters: { job: 7, twin: 0 } }),
      twin('a', { rev: 4, counters: { job: 6, twin: 0 } }),
      record('a', 'j', { seq: 9, phase: 'probing', status: 'IN_PROGRESS' }),
      record('a', 'j', { seq: 8, phase: 'fitting', status: 'IN_PROGRESS' }),
    );
    expect(roster.get('a')?.counters).toEqual({ job: 7, twin: 0 });
    expect(roster.get('a')?.job?.phase).toBe('probing');
  });

  test('calls a device silent that has not been heard for three reports', () => {
    const roster = heard(card('a'), status('a'), card('b'), status('b', { state: 'offline' }));
    expect(roster.tick(NOW_MS + 1000 + 179_999)).toEqual([]);
    expect(roster.tick(NOW_MS + 1000 + 180_000)).toEqual(['a']);
    expect(roster.get('a')?.state).toBe('silent');
    expect(roster.get('b')?.state).toBe('offline');
    roster.apply(seen(telemetry('a', {})), { nowMs: NOW_MS + 300_000 });
    expect(roster.get('a')?.state).toBe('online');
  });

  test('sees that a device that was read was gone long before', () => {
    const roster = new Roster();
    const old = status('a', { ts: at(-400_000), since: at(-900_000) });
    roster.apply(seen(old), { nowMs: NOW_MS, readMs: NOW_MS });
    expect(roster.get('a')?.state).toBe('silent');
    // A board without a clock says 1970: nobody knows, so it has its three reports.
    const strange = status('b', { ts: '2031-01-01T00:00:00.000Z' });
    roster.apply(seen(strange), { nowMs: NOW_MS, readMs: NOW_MS });
    expect(roster.get('b')).toMatchObject({ state: 'online', lastSeenMs: NOW_MS });
  });

  test('prefers what came live to what was read since', () => {
    const roster = heard(card('a'), status('a', { state: 'offline', session: 2 }));
    const readMs = NOW_MS + 500;
    roster.apply(seen(status('a', { session: 2 })), { nowMs: NOW_MS + 2000, readMs });
    expect(roster.get('a')?.state).toBe('offline');
  });

  test('tells a copied card by boots that take turns', () => {
    const A = { bootId: 'A' };
    const B = { bootId: 'B' };
    const roster = heard(
      card('a'),
      status('a', { ...A, session: 12, since: at(0) }),
      status('a', { ...B, session: 13, since: at(1000) }),
    );
    // A machine that has booted anew looks like this too.
    expect(roster.get('a')?.cloned).toBe(false);
    // The very same status, read from the broker, says nothing new.
    roster.apply(seen(status('a', { ...B, session: 13, since: at(1000) })), { nowMs: NOW_MS });
    expect(roster.get('a')?.cloned).toBe(false);
    const again = status('a', { ...A, session: 13, since: at(5000) });
    roster.apply(seen(again), { nowMs: NOW_MS + 5000 });
    expect(roster.get('a')?.cloned).toBe(true);
    // An hour after the last turn the copy is forgotten.
    expect(roster.tick(NOW_MS + 5000 + 3_600_000)).toContain('a');
    expect(roster.get('a')?.cloned).toBe(false);
  });

  test('tells a copied card without boot ids by sessions that go back twice', () => {
    const session = (number: number, ms: number) =>
      status('a', { session: number, since: at(ms), ts: at(ms) });
    const roster = heard(card('a'), session(50, 0), session(7, 1000));
    // State that was erased begins anew: once.
    expect(roster.get('a')).toMatchObject({ cloned: false, session: 7 });
    for (const [number, ms] of [
      [51, 2000],
      [8, 3000],
    ] as const) {
      roster.apply(seen(session(number, ms)), { nowMs: NOW_MS + ms });
    }
    expect(roster.get('a')?.cloned).toBe(true);
  });

  test('does not call a restart a copy: late wills, many boots, the same boot again', () => {
    const roster = heard(
      card('a'),
      ...[1, 2, 3, 4, 5, 6].flatMap((session) => [
        status('a', { bootId: `boot-${session}`, session, since: at(session) }),
        status('a', {
          state: 'offline',
          bootId: `boot-${session - 1}`,
          session: session - 1 || 1,
          since: at(session - 1),
        }),
      ]),
      status('a', { bootId: 'boot-6', session: 7, since: at(7) }),
    );
    expect(roster.get('a')).toMatchObject({ cloned: false, state: 'online', session: 7 });
  });

  test('forgets a device whose card is taken away, and what a look did not find', () => {
    const roster = heard(card('a'), card('b'), status('b'));
    const [topic] = card('a');
    const cleared = readFleetMessage(topic, Buffer.alloc(0));
    expect(cleared).not.toBeNull();
    if (cleared !== null) roster.apply(cleared, { nowMs: NOW_MS + 3000 });
    expect(roster.get('a')).toBeUndefined();
    expect(roster.forget(NOW_MS + 1000)).toEqual([]);
    expect(roster.forget(NOW_MS + 1001)).toEqual(['b']);
    expect(roster.size).toBe(0);
  });

  test('leaves out a device that is shut out, until that is taken back', () => {
    const roster = heard(card('a'), status('a'));
    const topic = 'edgefit/v1/d/a/dn/revoked';
    const out = { schema: 'edgefit/revocation/1', deviceId: 'a', ts: at(0), reason: null };
    roster.apply(seen([topic, out]), { nowMs: NOW_MS });
    roster.apply(seen(status('a')), { nowMs: NOW_MS + 1000 });
    expect([roster.get('a'), roster.isRevoked('a')]).toEqual([undefined, true]);
    const back = readFleetMessage(topic, Buffer.alloc(0));
    if (back !== null) roster.apply(back, { nowMs: NOW_MS + 2000 });
    roster.apply(seen(card('a', { session: 1 })), { nowMs: NOW_MS + 3000 });
    expect(roster.get('a')?.class).toBe('rpi-5');
  });

  test('keeps no more devices than it may', () => {
    const roster = new Roster(1);
    for (const id of ['a', 'b', 'c']) roster.apply(seen(card(id)), { nowMs: NOW_MS });
    expect([roster.size, roster.left]).toEqual([1, 2]);
  });
});

describe('reading', () => {
  const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));

  test('tolerates fields and values that are newer', () => {
    const [topic, document] = card('a', { precisions: ['int2'], invented: { x: 1 } });
    expect(readFleetMessage(topic, bytes(document))?.value).toMatchObject({ precisions: ['int2'] });
  });

  test.each([
    ['a strange id', 'edgefit/v1/d/a b/up/status', bytes(status('a b')[1])],
    ['another device inside', 'edgefit/v1/d/a/up/status', bytes(status('b')[1])],
    ['another job inside', 'edgefit/v1/d/a/up/job/j1', bytes(record('a', 'j2')[1])],
    ['no JSON', 'edgefit/v1/d/a/up/status', Buffer.from('{')],
    ['no UTF-8', 'edgefit/v1/d/a/up/status', Buffer.from([0xff, 0xfe])],
    ['a wrong type', 'edgefit/v1/d/a/up/status', bytes({ deviceId: 'a', state: 7 })],
    ['a status that is none', 'edgefit/v1/d/a/up/status', bytes(status('a', { state: 'x' })[1])],
    ['too much', 'edgefit/v1/d/a/up/twin', Buffer.alloc(200 * 1024, 32)],
    ['an order to the device', 'edgefit/v1/d/a/dn/job/j', bytes({})],
    ['a foreign topic', 'homeassistant/d/a/up/status', bytes({})],
  ])('refuses %s', (_, topic, payload) => {
    expect(readFleetMessage(topic, payload)).toBeNull();
  });
});
