import { expect, test } from '@jest/globals';
import { figuresOf } from '../../../agent/fleet/controller/figures.ts';
import { StoreError } from '../../../agent/fleet/controller/error.ts';
import { temporaryFolder, until } from '../../daemon/support.ts';
import { newKey } from '../../deploy/support/keys.ts';
import { record, status, twin } from '../roster/messages.ts';
import { describeWithMosquitto } from '../support/mosquitto.ts';
import { ids, SPEC, start, world } from './world.ts';

describeWithMosquitto('a controller', () => {
  test('carries a rollout through its waves, and gives every device one job', async () => {
    const { site, port, fleet, operator } = await world(40, ['rpi-5', 'rpi-4b']);
    const controller = await start(site, port);
    const planned = await operator.ask('r1', 'create', { spec: SPEC, actor: 'ann' });
    expect(planned).toMatchObject({ ok: true, controllerId: 'ctl-a' });
    expect(planned.rollout).toMatchObject({ state: 'planned', createdBy: 'ann' });
    // Two canaries, then up to 20 of 40, then all.
    expect(planned.rollout?.waves.map(({ kind, counts }) => [kind, counts.targets])).toEqual([
      ['canary', 2],
      ['percent', 18],
      ['percent', 20],
    ]);
    expect(fleet.jobs).toEqual([]);
    expect(await operator.ask('r1', 'approve')).toMatchObject({ ok: true });
    const done = await operator.reaches('r1', 'completed');
    expect(done.counts).toMatchObject({ targets: 40, succeeded: 40, pending: 0, open: 0 });
    expect(done.waves.map(({ state }) => state)).toEqual(['passed', 'passed', 'passed']);
    expect(fleet.jobs.map(({ deviceId }) => deviceId).toSorted()).toEqual(ids(40).toSorted());
    expect(fleet.jobs.map(({ version }) => version)).toEqual(ids(40).map(() => '1.0.0'));
    await until('every document is taken away', () => fleet.cleared.length === 40);
    const figures = figuresOf(controller);
    expect(figures).toMatchObject({ leader: true, connected: true });
    expect(figures.devices).toContainEqual({ state: 'online', class: 'rpi-5', count: 20 });
    const told = { rollout: 'r1', state: 'completed' };
    expect(figures.rollouts).toContainEqual({ ...told, status: 'succeeded', count: 40 });
    expect(figures.rollouts).toContainEqual({ ...told, status: 'open', count: 0 });
    expect(figuresOf(controller, Date.now() + 25 * 3_600_000).rollouts).toEqual([]);
    // The next one finds nobody who needs it.
    const again = await operator.ask('r2', 'create', { spec: SPEC });
    expect(again.error).toEqual({
      code: 'no_devices',
      text: 'no device of the fleet is left: 40 already installed',
    });
  });

  test('stops where too many fail, and goes on when it is told to', async () => {
    const { site, port, fleet, operator } = await world(20);
    fleet.behaviour = ({ deviceId }) => (/[1-4]$/.test(deviceId) ? 'fails' : 'succeeds');
    await start(site, port);
    const spec = { ...SPEC, waves: [100], canaryPerClass: 0, maxFailed: { percent: 10, count: 2 } };
    await operator.ask('r1', 'create', { spec, approve: true });
    const paused = await operator.reaches('r1', 'paused');
    expect(paused.reason?.code).toBe('wave_failed');
    expect(paused.failures).toMatchObject([{ code: 'unhealthy', class: 'rpi-5' }]);
    // device-1 to -4 and -11 to -14; whatever had failed by then is forgiven, the rest is not.
    const answer = await operator.ask('r1', 'resume');
    if (!answer.ok) await operator.ask('r1', 'resume');
    const done = await operator.reaches('r1', 'completed');
    expect(done.counts).toMatchObject({ succeeded: 12, failed: 8, rolledBack: 8 });
  });

  test('takes open jobs back when it is aborted, and undoes what succeeded', async () => {
    const { site, port, fleet, operator } = await world(6);
    fleet.behaviour = ({ deviceId, jobType }) =>
      deviceId === 'device-5' && jobType === 'deploy' ? 'works' : 'succeeds';
    await start(site, port);
    const spec = { ...SPEC, waves: [100], canaryPerClass: 0 };
    await operator.ask('r1', 'create', { spec, approve: true });
    await until('five are done', () => operator.records.get('r1')?.counts.succeeded === 5);
    expect(await operator.ask('r1', 'rollback', { reason: 'it is slow' })).toMatchObject({
      ok: true,
      rollout: { state: 'aborted', reason: { code: 'operator', text: 'it is slow' } },
    });
    await until('all are back', () => operator.records.get('r1')?.counts.rolledBack === 5);
    const open = fleet.jobs.find(({ deviceId }) => deviceId === 'device-5');
    await until('the open job is taken back', () => fleet.cleared.includes(open?.jobId ?? ''));
    expect(fleet.jobs.filter(({ jobType }) => jobType === 'rollback')).toHaveLength(5);
  });

  test('issues a job again, once, that a device has taken for a replay', async () => {
    const { site, port, fleet, operator } = await world(3);
    const lowestCounter = 1_790_000_000_000;
    fleet.behaviour = ({ deviceId, counter }) => {
      if (deviceId === 'device-0') return counter < lowestCounter ? { lowestCounter } : 'succeeds';
      // There is no end to what this one wants.
      if (deviceId === 'device-1') return { lowestCounter: counter + 1000 };
      return deviceId === 'device-2' ? { lowestCounter: Number.MAX_SAFE_INTEGER } : 'succeeds';
    };
    const controller = await start(site, port);
    const spec = { ...SPEC, waves: [100], canaryPerClass: 0, maxFailed: { count: 9, percent: 90 } };
    await operator.ask('r1', 'create', { spec, approve: true });
    const done = await operator.reaches('r1', 'completed');
    expect(done.counts).toMatchObject({ targets: 3, succeeded: 1, rejected: 2 });
    expect(done.failures).toMatchObject([{ code: 'replayed' }]);
    const given = (id: string) => fleet.jobs.filter(({ deviceId }) => deviceId === id);
    const [first, second, ...more] = given('device-0');
    expect([second?.jobId, more]).toEqual([first?.jobId, []]);
    expect(second?.counter).toBeGreaterThan(lowestCounter);
    expect([given('device-1').length, given('device-2').length]).toEqual([2, 1]);
    expect(controller.epoch()).not.toBeNull();
  });

  test('refuses commands that are not signed by whom the repository names', async () => {
    const { site, port, operator } = await world(2);
    await start(site, port);
    const stranger = newKey();
    const by = await operator.ask('r1', 'create', { spec: SPEC }, stranger);
    expect(by).toMatchObject({ ok: false, rollout: null, error: { code: 'unsigned' } });
    const foreign = await operator.ask('r1', 'create', { spec: SPEC, deviceId: 'r2' });
    expect(foreign.error?.code).toBe('foreign_device');
    const expires = new Date(Date.now() - 1000).toISOString();
    const late = await operator.ask('r1', 'create', { spec: SPEC, expires });
    expect(late.error?.code).toBe('expired');
    const other = { ...SPEC, model: { name: 'kws', version: '9.0.0' } };
    const unknown = await operator.ask('r1', 'create', { spec: other });
    expect(unknown.error?.code).toBe('unknown_model');
    const bad = await operator.ask('r1', 'create', { spec: { ...SPEC, where: 'clas=rpi-5' } });
    expect(bad.error?.text).toContain('character 1: there is no key "clas"');
    expect(operator.records.size).toBe(0);
  });

  test('obeys a request once, however often it comes', async () => {
    const { site, port, operator } = await world(2);
    await start(site, port);
    const requestId = 'the-same';
    const first = await operator.ask('r1', 'create', { spec: SPEC, requestId });
    const second = await operator.ask('r1', 'create', { spec: SPEC, requestId });
    expect([first.ok, second.ok]).toEqual([true, true]);
    expect((await operator.ask('r1', 'create', { spec: SPEC })).error?.code).toBe('exists');
    expect((await operator.ask('r1', 'resume')).error?.code).toBe('bad_state');
  });

  test('does not obey later what it refused, or what was overtaken on its way', async () => {
    const { site, port, operator } = await world(2);
    await start(site, port);
    const asked = Date.now();
    await operator.ask('r1', 'create', { spec: SPEC, counter: asked });
    const early = { requestId: 'early', counter: asked + 1 };
    expect((await operator.ask('r1', 'resume', early)).error?.code).toBe('bad_state');
    expect((await operator.ask('r1', 'approve', { counter: asked + 2 })).ok).toBe(true);
    expect((await operator.ask('r1', 'pause', { counter: asked + 3 })).ok).toBe(true);
    // Now it would make sense, but its sender was told that it was refused.
    const replayed = await operator.ask('r1', 'resume', early);
    expect(replayed.error?.text).toBe('r1 is planned: resume is for one that is paused');
    const late = await operator.ask('r1', 'resume', { counter: asked + 2 });
    expect(late.error).toEqual({
      code: 'bad_state',
      text: `counter: ${asked + 2} is below ${asked + 3}, that of an earlier command: is the clock of one of the senders wrong?`,
    });
    // Stopping is possible with a clock that is behind.
    expect((await operator.ask('r1', 'abort', { counter: asked })).ok).toBe(true);
  });

  test('does not go on with what it could not keep', async () => {
    const { site, port, fleet, operator } = await world(4);
    let isAway = false;
    const state = temporaryFolder();
    const controller = await start(site, port, state, (store) => ({
      ...store,
      write: async (epoch, batch) => {
        if (isAway) {
          isAway = false;
          throw new StoreError('UNAVAILABLE', 'the database is away');
        }
        await store.write(epoch, batch);
      },
    }));
    const spec = { ...SPEC, waves: [100], canaryPerClass: 0 };
    isAway = true;
    const asked = { spec, approve: true, requestId: 'once' };
    await operator.send('r1', 'create', asked);
    await until('it leads no more', () => controller.epoch() === null);
    await until('it leads again', () => controller.desk() !== null && controller.epoch() === 2);
    // Nobody was told that it failed: whoever waits asks again.
    expect(await operator.ask('r1', 'create', asked)).toMatchObject({ ok: true });
    const done = await operator.reaches('r1', 'completed');
    expect(done.counts).toMatchObject({ targets: 4, succeeded: 4 });
    expect(fleet.jobs).toHaveLength(4);
  });

  test('tells how a rollout ended, if it stopped between keeping and telling that', async () => {
    const { site, port, operator } = await world(2);
    const state = temporaryFolder();
    const first = await start(site, port, state);
    await operator.ask('r1', 'create', { spec: SPEC });
    const planned = await operator.reaches('r1', 'planned');
    await operator.ask('r1', 'abort');
    await operator.reaches('r1', 'aborted');
    await first.stop();
    await operator.keep(planned);
    expect((await operator.reaches('r1', 'planned')).rev).toBe(planned.rev);
    await start(site, port, state);
    expect((await operator.reaches('r1', 'aborted')).rev).toBe(planned.rev + 1);
  });

  test('does not believe a device that claims the highest epoch there can be', async () => {
    const { site, port, fleet, operator } = await world(2);
    const counters = { job: 0, twin: 0, epoch: 2 ** 52 };
    await fleet.keep(
      twin('device-0', { counters }),
      twin('device-1', { counters: { ...counters, epoch: 6 } }),
    );
    const controller = await start(site, port);
    expect(controller.epoch()).toBe(7);
    await operator.ask('r1', 'create', { spec: SPEC, approve: true });
    await operator.reaches('r1', 'completed');
  });

  test('signs jobs again for devices that are away: beside one of a later epoch they were refused', async () => {
    const { site, port, fleet, operator } = await world(3);
    fleet.behaviour = () => null;
    await fleet.keep(status('device-2', { state: 'offline' }));
    const state = temporaryFolder();
    const first = await start(site, port, state);
    const spec = { ...SPEC, waves: [100], canaryPerClass: 0 };
    await operator.ask('r1', 'create', { spec, approve: true });
    await until('all have a job', () => fleet.jobs.length === 3);
    await first.stop();
    const second = await start(site, port, state);
    await until('one is signed again', () => fleet.jobs.length === 4);
    const [one, again] = fleet.jobs.filter(({ deviceId }) => deviceId === 'device-2');
    expect(again).toMatchObject({ jobId: one?.jobId, epoch: second.epoch() });
    expect(again?.counter).toBeGreaterThan(one?.counter ?? 0);
  });

  test('goes on after a restart where it was, and hands out no job twice', async () => {
    const { site, port, fleet, operator } = await world(30);
    fleet.behaviour = () => null;
    const state = temporaryFolder();
    const first = await start(site, port, state);
    const spec = { ...SPEC, waves: [100], canaryPerClass: 0 };
    await operator.ask('r1', 'create', { spec, approve: true });
    await until('all have a job', () => fleet.jobs.length === 30);
    await first.stop();
    // Some have ended meanwhile; nobody was there to hear it.
    const ended = { status: 'SUCCEEDED', phase: 'committing', outcome: 'applied', seq: 5 };
    const wires = fleet.jobs.slice(0, 10).map((job) => record(job.deviceId, job.jobId, ended));
    await fleet.keep(...wires);
    const second = await start(site, port, state);
    expect(second.epoch()).toBeGreaterThan(1);
    await until('ten are done', () => operator.records.get('r1')?.counts.succeeded === 10);
    const rest = fleet.jobs.slice(10).map((job) => record(job.deviceId, job.jobId, ended));
    await fleet.keep(...rest);
    await operator.reaches('r1', 'completed');
    expect(fleet.jobs).toHaveLength(30);
  });
});
