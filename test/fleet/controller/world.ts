import { join } from 'node:path';
import { parseBrokerUrl } from '../../../agent/fleet/broker-url.ts';
import {
  startController,
  type Controller,
  type ControllerOptions,
} from '../../../agent/fleet/controller/controller.ts';
import { openLevelStore } from '../../../agent/fleet/controller/store/level.ts';
import type { Store } from '../../../agent/fleet/controller/store/store.ts';
import { ControllerTrust } from '../../../agent/fleet/controller/trust.ts';
import { temporaryFolder, until } from '../../daemon/support.ts';
import { afterThisTest, mosquitto } from '../support/harness.ts';
import { Site } from '../support/site.ts';
import { FakeFleet, Operator } from './support.ts';

export const MODEL = { name: 'kws', version: '1.0.0' };
export const SPEC = { model: MODEL, soakSeconds: 0, waves: [50, 100] };
export const ids = (count: number) => Array.from({ length: count }, (_, at) => `device-${at}`);

export async function openSite(): Promise<Site> {
  const site = await Site.open();
  afterThisTest(() => site.close());
  await site.publish('1.0.0');
  return site;
}

export async function start(
  site: Site,
  port: number,
  state = temporaryFolder(),
  around: (store: Store) => Store = (store) => store,
  more: Partial<ControllerOptions> = {},
): Promise<Controller> {
  const trust = await ControllerTrust.open({
    url: site.url,
    folder: join(state, 'tuf'),
    rootFile: join(site.folder, 'repository', 'metadata', '1.root.json'),
    warn: () => undefined,
  });
  const controller = startController({
    controllerId: 'ctl-a',
    agent: '0.1.0',
    broker: { address: parseBrokerUrl(`mqtt://127.0.0.1:${port}`).address },
    timeoutMs: 10_000,
    store: around(await openLevelStore(state)),
    trust,
    signer: site.operator,
    tickMs: 20,
    log: { info: () => undefined, warn: () => undefined },
    ...more,
  });
  afterThisTest(() => controller.stop());
  await until('the controller leads', () => controller.desk() !== null);
  return controller;
}

export async function world(devices: number, classes?: readonly string[]) {
  const site = await openSite();
  const { port } = await mosquitto('allow_anonymous true');
  const fleet = await FakeFleet.open(port, site.operator);
  await fleet.add(ids(devices), classes);
  const operator = await Operator.open(port, site.operator);
  return { site, port, fleet, operator };
}
