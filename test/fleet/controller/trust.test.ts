import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { ControllerTrust } from '../../../agent/fleet/controller/trust.ts';
import { temporaryFolder } from '../../daemon/support.ts';
import { afterThisTest } from '../support/harness.ts';
import { Site } from '../support/site.ts';

/** An address that takes requests and never answers one. */
async function silentServer(): Promise<string> {
  const server = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(server, 'listening');
  afterThisTest(async () => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a repository that hangs does not hold up who may command', async () => {
  const site = await Site.open();
  afterThisTest(() => site.close());
  const folder = join(temporaryFolder(), 'tuf');
  const rootFile = join(site.folder, 'repository', 'metadata', '1.root.json');
  const warn = () => undefined;
  const first = await ControllerTrust.open({ url: site.url, folder, rootFile, warn });
  expect([...(await first.keyring()).keys.keys()]).toEqual([site.operator.keyId]);
  const url = await silentServer();
  const second = await ControllerTrust.open({ url, folder, rootFile, warn });
  const startMs = performance.now();
  expect([...(await second.keyring()).keys.keys()]).toEqual([site.operator.keyId]);
  expect(performance.now() - startMs).toBeLessThan(10_000);
});
