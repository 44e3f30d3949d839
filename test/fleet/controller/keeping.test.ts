import { expect, test } from '@jest/globals';
import { ClockSteps, moveDeadlines } from '../../../agent/fleet/controller/clock-steps.ts';
import { newCase } from '../../../agent/fleet/controller/case.ts';
import { dueForRemoval } from '../../../agent/fleet/controller/retention.ts';
import type { Rollout } from '../../../agent/contracts/rollout.ts';
import { temporaryFolder, until } from '../../daemon/support.ts';
import { rows, START_MS, Trial } from '../rollouts/support.ts';
import { record, status } from '../roster/messages.ts';
import { describeWithMosquitto } from '../support/mosquitto.ts';
import { ids, SPEC, start, world } from './world.ts';

const DAY_MS = 86_400_000;

/** A rollout that ended so many days before START_MS. */
function ended(rolloutId: string, days: number) {
  const { state } = new Trial(rows(1));
  const endedAt = new Date(START_MS - days * DAY_MS).toISOString();
  const over: Rollout = { ...state.record, rolloutId, state: 'completed', endedAt };
  return { ...state, record: over };
}

test('the oldest beyond the number and the too old go, the oldest first', () => {
  const history = [ended('c', 3), ended('a', 91), ended('d', 1), ended('b', 40)];
  const due = (rollouts: number, days: number) =>
    dueForRemoval(history, { rollouts, days }, START_MS);
  expect(due(200, 90)).toEqual(['a']);
  expect(due(2, 365)).toEqual(['a', 'b']);
  expect(due(1, 90)).toEqual(['a', 'b', 'c']);
  expect(due(4, 91)).toEqual([]);
});

test('deadlines and soaks move with a clock that is set, and not with one that drifts', () => {
  let [nowMs, steadyMs] = [START_MS, 0];
  const clock = new ClockSteps(
    () => nowMs,
    () => steadyMs,
  );
  nowMs += 86_400_000 + 500;
  steadyMs += 86_400_000;
  expect(clock.take()).toBe(0);
  nowMs += 10 * DAY_MS;
  const step = clock.take();
  expect(step).toBe(10 * DAY_MS);
  expect(clock.take()).toBe(0);

  const trial = new Trial(rows(2), { jobSeconds: 600, soakSeconds: 60 });
  trial.step();
  const one = newCase(trial.state, trial.executions, new Map());
  moveDeadlines(one, 10 * DAY_MS);
  trial.state = one.state;
  trial.nowMs += 10 * DAY_MS;
  trial.step();
  // Nobody was given up: each has its ten minutes.
  expect(trial.open()).toHaveLength(2);
  expect([...one.heard].toSorted()).toEqual(['d0000', 'd0001']);
  trial.step(600 + 300);
  expect(trial.record.counts.failed).toBe(2);
});

describeWithMosquitto('a controller that has run for long', () => {
  test('takes old rollouts from broker and store, and uses no id twice', async () => {
    const { site, port, operator } = await world(1);
    const state = temporaryFolder();
    const keep = { rollouts: 2, days: 90 };
    const first = await start(site, port, state, undefined, { keep });
    for (const id of ['r1', 'r2', 'r3']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await operator.ask(id, 'create', { spec: SPEC });
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await operator.ask(id, 'abort');
    }
    const names = () => [...operator.records.keys()].toSorted();
    await until('the oldest is gone', () => names().join() === 'r2,r3');
    const kept = () => first.desk()?.states().length === 2;
    await until('and from the store', kept);
    const again = await operator.ask('r1', 'create', { spec: SPEC });
    expect(again.error).toMatchObject({ code: 'exists' });
    expect(again.error?.text).toContain('there was a rollout r1');
    const gone = await operator.ask('r1', 'rollback');
    expect(gone.error?.text).toBe('r1 ended long ago and is not kept any more');
    await first.stop();
    const second = await start(site, port, state, undefined, { keep });
    const found = second
      .desk()
      ?.states()
      .map(({ record: { rolloutId } }) => rolloutId);
    expect(found?.toSorted()).toEqual(['r2', 'r3']);
    expect((await operator.ask('r1', 'create', { spec: SPEC })).error?.code).toBe('exists');
  });

  test('believes no clock of its own that says that all is long over, but the fleet', async () => {
    const { site, port, fleet, operator } = await world(3);
    const state = temporaryFolder();
    const first = await start(site, port, state);
    await operator.ask('r1', 'create', { spec: SPEC });
    await operator.ask('r1', 'abort');
    await first.stop();
    const aheadMs = 91 * DAY_MS;
    const now = () => Date.now() + aheadMs;
    const second = await start(site, port, state, undefined, { now });
    const more = { counter: now(), expires: new Date(now() + DAY_MS).toISOString() };
    const speak = async (devices: readonly string[], byMs: number) => {
      const ts = new Date(Date.now() + byMs).toISOString();
      await fleet.keep(...devices.map((id) => status(id, { ts, since: ts })));
    };
    /** A rollout that ends makes it look at what it keeps. */
    const look = async (id: string) => {
      await operator.ask(id, 'create', { ...more, spec: SPEC });
      await operator.ask(id, 'abort', { ...more, counter: more.counter + 1 });
      const desk = second.desk();
      await until('it is over', () => operator.records.get(id)?.state === 'aborted');
      await desk?.tick();
      await desk?.tick();
    };
    await look('r2');
    await speak(ids(3), 0);
    await speak(['device-0'], aheadMs);
    await look('r3');
    expect([...operator.records.keys()].toSorted()).toEqual(['r1', 'r2', 'r3']);
    await speak(ids(2), aheadMs);
    await look('r4');
    await until('it is gone', () => !operator.records.has('r1'));
    expect([...operator.records.keys()].toSorted()).toEqual(['r2', 'r3', 'r4']);
  });

  test('does not obey later what it refused to create', async () => {
    const { site, port, fleet, operator } = await world(1);
    const state = temporaryFolder();
    const first = await start(site, port, state);
    const asked = { spec: { ...SPEC, where: 'id=device-9' }, requestId: 'q', counter: 5 };
    expect((await operator.ask('r1', 'create', asked)).error?.code).toBe('no_devices');
    await fleet.add(['device-9']);
    await until('it is known', () => first.link.roster.get('device-9') !== undefined);
    expect((await operator.ask('r1', 'create', asked)).error?.code).toBe('no_devices');
    await first.stop();
    await start(site, port, state);
    expect((await operator.ask('r1', 'create', asked)).error?.code).toBe('no_devices');
    const anew = await operator.ask('r1', 'create', { ...asked, requestId: 'p', counter: 6 });
    expect(anew).toMatchObject({ ok: true, rollout: { counts: { targets: 1 } } });
  });

  test('undoes what it hears of when the rollout was undone long since', async () => {
    const { site, port, fleet, operator } = await world(2);
    fleet.behaviour = ({ deviceId, jobType }) =>
      deviceId === 'device-1' && jobType === 'deploy' ? null : 'succeeds';
    // A minute passes at once for a job that was taken back.
    let [aheadMs, looks] = [0, 0];
    const now = () => {
      looks += 1;
      return Date.now() + aheadMs;
    };
    await start(site, port, undefined, undefined, { now });
    const spec = { ...SPEC, waves: [100], canaryPerClass: 0 };
    await operator.ask('r1', 'create', { spec, approve: true });
    await until('one is done', () => operator.records.get('r1')?.counts.succeeded === 1);
    await operator.ask('r1', 'rollback');
    await until('it is back', () => operator.records.get('r1')?.counts.rolledBack === 1);
    // In steps that are too small to be a clock that was set.
    for (const stepMs of [30_000, 30_000, 30_000]) {
      aheadMs += stepMs;
      const before = looks;
      // oxlint-disable-next-line no-await-in-loop -- the controller looks in between
      await until('some ticks', () => looks > before + 20);
    }
    await until('the other is given up', () => operator.records.get('r1')?.counts.canceled === 1);
    const job = fleet.jobs.find(({ deviceId }) => deviceId === 'device-1');
    const end = { status: 'SUCCEEDED', phase: 'committing', outcome: 'applied', rolloutId: 'r1' };
    await fleet.keep(record('device-1', job?.jobId ?? '', { jobType: 'deploy', seq: 7, ...end }));
    await until('both are back', () => operator.records.get('r1')?.counts.rolledBack === 2);
    expect(operator.records.get('r1')).toMatchObject({
      state: 'aborted',
      counts: { succeeded: 2 },
    });
  });

  test('says once that another leads the same fleet by a store of its own', async () => {
    const { site, port } = await world(1);
    const said: string[] = [];
    const log = { info: () => undefined, warn: (_: object, text: string) => void said.push(text) };
    await start(site, port, undefined, undefined, { log });
    await start(site, port, undefined, undefined, { controllerId: 'ctl-b' });
    await until('it says so', () => said.some((text) => text.startsWith('ctl-b leads this fleet')));
    expect(said.find((text) => text.includes('--postgres'))).toContain('stop one of the two');
  });
});
