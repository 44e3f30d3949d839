import { expect, test } from '@jest/globals';
import { removeRetained } from '../../../agent/fleet/access/remove.ts';
import { parseBrokerUrl } from '../../../agent/fleet/broker-url.ts';
import { openChannel } from '../../../agent/fleet/operator/channel.ts';
import { temporaryFolder, until } from '../../daemon/support.ts';
import { afterThisTest } from '../support/harness.ts';
import { describeWithMosquitto } from '../support/mosquitto.ts';
import { ids, SPEC, start, world } from './world.ts';

const WHOLE = { ...SPEC, waves: [100], canaryPerClass: 0 };

describeWithMosquitto('a controller whose fleet is changed by hand', () => {
  test('brings the jobs again to boards that take the places of others', async () => {
    const { site, port, fleet, operator } = await world(3);
    // One is at work, two have not spoken of their jobs yet.
    fleet.behaviour = ({ deviceId }) => (deviceId === 'device-0' ? 'works' : null);
    await start(site, port);
    await operator.ask('r1', 'create', { spec: WHOLE, approve: true });
    await until('all have a job', () => fleet.jobs.length === 3);
    const { address } = parseBrokerUrl(`mqtt://127.0.0.1:${port}`);
    const channel = await openChannel({ broker: { address }, timeoutMs: 10_000 });
    afterThisTest(() => channel.close());
    for (const id of ['device-0', 'device-1']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other, as an operator does it
      const { cleared } = await removeRetained(channel, id, temporaryFolder());
      expect(cleared).toBeGreaterThan(3);
    }
    fleet.behaviour = () => 'succeeds';
    await fleet.add(['device-0', 'device-1']);
    await until('both are done', () => operator.records.get('r1')?.counts.succeeded === 2);
    const given = (id: string) => fleet.jobs.filter(({ deviceId }) => deviceId === id);
    expect(ids(3).map((id) => given(id).length)).toEqual([2, 2, 1]);
    expect(new Set(given('device-0').map(({ jobId }) => jobId)).size).toBe(1);
    expect(operator.records.get('r1')).toMatchObject({ state: 'running', counts: { open: 1 } });
  });

  test('finds boards that were replaced while it was away', async () => {
    const { site, port, fleet, operator } = await world(3);
    fleet.behaviour = () => 'works';
    const state = temporaryFolder();
    const first = await start(site, port, state);
    await operator.ask('r1', 'create', { spec: WHOLE, approve: true });
    const isHeard = (id: string) => first.link.roster.get(id)?.job?.status === 'QUEUED';
    await until('all are at work', () => ids(3).every(isHeard));
    await first.desk()?.tick();
    await first.stop();
    const { address } = parseBrokerUrl(`mqtt://127.0.0.1:${port}`);
    const channel = await openChannel({ broker: { address }, timeoutMs: 10_000 });
    afterThisTest(() => channel.close());
    await removeRetained(channel, 'device-0', temporaryFolder());
    fleet.behaviour = () => 'succeeds';
    await fleet.add(['device-0']);
    await start(site, port, state);
    await until('the new board is done', () => operator.records.get('r1')?.counts.succeeded === 1);
    const given = ids(3).map((id) => fleet.jobs.filter(({ deviceId }) => deviceId === id).length);
    expect(given).toEqual([2, 1, 1]);
    expect(operator.records.get('r1')).toMatchObject({ state: 'running', counts: { open: 2 } });
  });

  test('lets a device take part in one open rollout of a model, and says in which', async () => {
    const { site, port, fleet, operator } = await world(3);
    await site.publish('2.0.0');
    fleet.behaviour = () => null;
    await start(site, port);
    const first = { ...WHOLE, where: 'id in (device-0, device-1)' };
    await operator.ask('r1', 'create', { spec: first });
    const second = { ...WHOLE, model: { name: 'kws', version: '2.0.0' } };
    const left = [
      {
        reason: 'in_another_rollout',
        rollout: 'r1',
        devices: 2,
        examples: ['device-0', 'device-1'],
      },
    ];
    const plan = await operator.ask('r2', 'plan', { spec: second });
    expect(plan.rollout).toMatchObject({ left, counts: { targets: 1 } });
    const refused = await operator.ask('r2', 'create', { spec: { ...second, where: first.where } });
    expect(refused.error?.code).toBe('no_devices');
    expect(refused.error?.text).toContain('2 in another rollout (r1); abort that one');
    await operator.ask('r1', 'abort');
    const free = await operator.ask('r2', 'plan', { spec: second });
    expect(free.rollout).toMatchObject({ left: [], counts: { targets: 3 } });
  });
});
