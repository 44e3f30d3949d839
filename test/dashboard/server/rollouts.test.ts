import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { eventSchemas } from '../../../agent/contracts/dashboard.ts';
import type { Rollout } from '../../../agent/contracts/rollout.ts';
import { parseBrokerUrl } from '../../../agent/fleet/broker-url.ts';
import { startController } from '../../../agent/fleet/controller/controller.ts';
import { openLevelStore } from '../../../agent/fleet/controller/store/level.ts';
import { ControllerTrust } from '../../../agent/fleet/controller/trust.ts';
import { temporaryFolder } from '../../daemon/support.ts';
import { FakeFleet } from '../../fleet/controller/support.ts';
import { afterThisTest, mosquitto } from '../../fleet/support/harness.ts';
import { describeWithMosquitto } from '../../fleet/support/mosquitto.ts';
import { Site } from '../../fleet/support/site.ts';
import { Client, openDashboard, removeFolder, stateFolder, until } from './support/dashboard.ts';
import { EventReader } from './support/event-reader.ts';

const SPEC = { model: { name: 'kws', version: '1.0.0' }, soakSeconds: 0, waves: [50, 100] };

async function startRealController(site: Site, port: number) {
  const state = temporaryFolder();
  const controller = startController({
    controllerId: 'ctl-a',
    agent: '0.1.0',
    broker: { address: parseBrokerUrl(`mqtt://127.0.0.1:${port}`).address },
    timeoutMs: 10_000,
    store: await openLevelStore(state),
    trust: await ControllerTrust.open({
      url: site.url,
      folder: join(state, 'tuf'),
      rootFile: join(site.folder, 'repository', 'metadata', '1.root.json'),
      warn: () => undefined,
    }),
    signer: site.operator,
    tickMs: 20,
    log: { info: () => undefined, warn: () => undefined },
  });
  afterThisTest(() => controller.stop());
  await until('the controller leads', () => controller.desk() !== null);
}

/** A repository, a broker, ten devices, a controller and a dashboard, all of them real. */
async function world() {
  const site = await Site.open();
  afterThisTest(() => site.close());
  await site.publish('1.0.0');
  const { port } = await mosquitto('allow_anonymous true');
  const fleet = await FakeFleet.open(port, site.operator);
  await fleet.add(Array.from({ length: 10 }, (_, at) => `device-${at}`));
  await startRealController(site, port);
  const folder = await stateFolder();
  afterThisTest(() => removeFolder(folder));
  const dashboard = await openDashboard(folder, port, { signers: [site.operator] });
  afterThisTest(() => dashboard.stop());
  const ada = await new Client(dashboard).login('ada');
  await until('the fleet is read', async () => (await ada.get('/api/fleet')).body['complete']);
  return { fleet, ada };
}

const rolloutOf = ({ body }: { readonly body: Record<string, unknown> }) =>
  (body as { rollout: Rollout }).rollout;

describeWithMosquitto('rollouts from the dashboard', () => {
  test('are planned, created, approved and followed to their end', async () => {
    const { fleet, ada } = await world();
    const events = new EventReader(ada, '/api/events');
    const controllers = await events.wait('controllers', (data) => {
      return eventSchemas.controllers.parse(data).controllers.length === 1;
    });
    expect(controllers.data).toMatchObject({
      controllers: [{ controllerId: 'ctl-a', state: 'leading' }],
    });
    const plan = await ada.post('/api/rollouts/plan', { spec: SPEC });
    expect(plan.status).toBe(200);
    expect(rolloutOf(plan).counts.targets).toBe(10);
    expect((await ada.get('/api/rollouts')).body).toEqual({ rollouts: [] });
    const created = await ada.post('/api/rollouts', { rolloutId: 'r1', spec: SPEC });
    expect(rolloutOf(created)).toMatchObject({ state: 'planned', createdBy: 'ada' });
    expect(fleet.jobs).toEqual([]);
    const approved = await ada.post('/api/rollouts/r1/approve', { reason: 'looks good' });
    expect(approved.status).toBe(200);
    await events.wait('rollout', (data) => {
      const { rollout } = eventSchemas.rollout.parse(data);
      return rollout.state === 'completed' && rollout.counts.succeeded === 10;
    });
    expect(fleet.jobs).toHaveLength(10);
    const { body } = await ada.get('/api/rollouts/r1');
    expect(body).toMatchObject({ rollout: { state: 'completed' } });
    const models = (await ada.get('/api/models')).body['models'];
    expect(models).toMatchObject([{ name: 'kws', versions: [{ version: '1.0.0', devices: 10 }] }]);
    events.close();
  }, 60_000);

  test('what the controller refuses is said in its words', async () => {
    const { fleet, ada } = await world();
    fleet.behaviour = () => 'works';
    const none = { ...SPEC, where: 'class=jetson-nano' };
    expect(await ada.post('/api/rollouts/plan', { spec: none })).toMatchObject({
      status: 409,
      body: { error: { code: 'refused', text: expect.stringContaining('ctl-a refuses: ') } },
    });
    await ada.post('/api/rollouts', { rolloutId: 'r2', spec: SPEC, approve: true });
    const paused = await ada.post('/api/rollouts/r2/pause', { reason: '<script>' });
    expect(rolloutOf(paused)).toMatchObject({ state: 'paused', reason: { code: 'operator' } });
    const resumed = await ada.post('/api/rollouts/r2/resume');
    expect(rolloutOf(resumed).state).toBe('running');
    const aborted = await ada.post('/api/rollouts/r2/abort');
    expect(rolloutOf(aborted).state).toBe('aborted');
    const again = await ada.post('/api/rollouts/r2/resume');
    expect(again).toMatchObject({ status: 409, body: { error: { code: 'refused' } } });
  }, 60_000);
});
