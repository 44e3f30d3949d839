import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { configSchema } from '../../agent/contracts/config.ts';
import { openLog } from '../../agent/daemon/log.ts';
import { openStreams } from '../../agent/daemon/open-streams.ts';
import type { DeviceParts } from '../../agent/fleet/device/device.ts';
import { openOutbox } from '../../agent/fleet/outbox/outbox.ts';
import { temporaryFolder } from './support.ts';

test('a disk that takes nothing while offline leaves the other streams at work', async () => {
  // Below a file: nobody can make a folder there, root neither.
  const state = join(temporaryFolder(), 'file');
  writeFileSync(state, '');
  const config = configSchema.parse({});
  const outbox = openOutbox({ state, limits: config.outbox, warn: () => undefined });
  const log = openLog('error');
  const warned: unknown[] = [];
  log.logger.warn = (fields: unknown) => void warned.push(fields);
  const session = { online: () => false };
  const streams = openStreams({
    config,
    deviceId: 'pi-7',
    agent: '0.1.0',
    bootId: null,
    state,
    log,
    device: () => ({ session, outbox }) as unknown as DeviceParts,
    jobs: () => null,
  });
  await streams.take('host', { cpuRatio: 0.5 });
  await streams.take('agent', { rssBytes: 1 });
  expect(streams.latest().map(({ stream }) => stream)).toEqual(['host', 'agent']);
  expect(warned).toMatchObject([
    { topic: 'edgefit/v1/d/pi-7/up/tele/host' },
    { topic: 'edgefit/v1/d/pi-7/up/tele/agent' },
  ]);
});
