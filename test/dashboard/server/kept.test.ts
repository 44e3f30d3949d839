import { expect, test } from '@jest/globals';
import { deviceSchema, eventSchemas } from '../../../agent/contracts/dashboard.ts';
import type { Rollout } from '../../../agent/contracts/rollout.ts';
import { rows, Trial } from '../../fleet/rollouts/support.ts';
import { afterThisTest } from '../../fleet/support/harness.ts';
import { describeWithMosquitto, freePort, startMosquitto } from '../../fleet/support/mosquitto.ts';
import { Client, openDashboard, removeFolder, stateFolder, until } from './support/dashboard.ts';
import { Devices } from './support/devices.ts';
import { EventReader } from './support/event-reader.ts';

const OPEN = ['allow_anonymous true'];

const keep = (devices: Devices, rolloutId: string) =>
  devices.publish(`r/${rolloutId}/state`, { ...new Trial(rows(1)).record, rolloutId });

const DECISION = {
  schema: 'edgefit/device-decision/1',
  deviceId: 'pi-1',
  ts: '2026-03-01T12:00:00.000Z',
  model: 'kws',
  version: '2.0',
  releaseCounter: 7,
  digest: 'a'.repeat(64),
  decidedAt: '2026-03-01T12:00:00.000Z',
  agent: '0.1.0',
  chosen: {
    id: 'onnxruntime/int8-static/t4',
    precision: 'int8',
    method: 'static',
    runtime: 'onnxruntime',
    threads: 4,
    bytes: 2048,
    reason: 'the fastest',
  },
  calibration: { source: 'package', samples: 32 },
  table: [],
};

async function world() {
  const port = await freePort();
  const mosquitto = await startMosquitto(OPEN, port);
  afterThisTest(() => mosquitto.stop());
  const devices = await Devices.connect(port);
  afterThisTest(() => devices.close());
  await devices.appear('pi-1');
  const folder = await stateFolder();
  afterThisTest(() => removeFolder(folder));
  const dashboard = await openDashboard(folder, port);
  afterThisTest(() => dashboard.stop());
  const vic = await new Client(dashboard).login('vic');
  await until('the fleet is read', async () => (await vic.get('/api/fleet')).body['complete']);
  const names = async () => {
    const { rollouts } = (await vic.get('/api/rollouts')).body as { rollouts: Rollout[] };
    return rollouts.map(({ rolloutId }) => rolloutId).toSorted();
  };
  return { port, mosquitto, devices, vic, names };
}

describeWithMosquitto('what the broker keeps', () => {
  test('of a device: what it has decided is told with it', async () => {
    const { devices, vic } = await world();
    await devices.publish('d/pi-1/up/decision/kws', DECISION);
    const { body } = await vic.get('/api/devices/pi-1');
    expect(deviceSchema.parse(body).decisions).toEqual([DECISION]);
  }, 60_000);

  test('of rollouts: one that is taken away leaves the dashboard', async () => {
    const { devices, vic, names } = await world();
    const reader = new EventReader(vic, '/api/events');
    await reader.wait('broker');
    await keep(devices, 'r1');
    await keep(devices, 'r2');
    await until('both are there', async () => (await names()).join() === 'r1,r2');
    await devices.client.publishAsync('edgefit/v1/r/r1/state', '', { qos: 1, retain: true });
    const { data } = await reader.wait('rolloutGone');
    expect(eventSchemas.rolloutGone.parse(data)).toEqual({ rolloutId: 'r1' });
    expect(await names()).toEqual(['r2']);
    expect((await vic.get('/api/rollouts/r1')).status).toBe(404);
    reader.close();
  }, 60_000);

  test('of rollouts: also one that went while nobody was connected', async () => {
    const { port, mosquitto, devices, names } = await world();
    await keep(devices, 'r1');
    await keep(devices, 'r2');
    await until('both are there', async () => (await names()).join() === 'r1,r2');
    await mosquitto.stop();
    // It has kept nothing; one is published again.
    const again = await startMosquitto(OPEN, port);
    afterThisTest(() => again.stop());
    const later = await Devices.connect(port);
    afterThisTest(() => later.close());
    await keep(later, 'r2');
    await until('one is gone', async () => !(await names()).includes('r1'), 40_000);
    await until('the other is there', async () => (await names()).length > 0);
    expect(await names()).toEqual(['r2']);
  }, 90_000);
});
