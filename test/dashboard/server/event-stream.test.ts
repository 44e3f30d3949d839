import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { EventStream } from '../../../agent/dashboard/server/event-stream.ts';
import type { FleetView } from '../../../agent/dashboard/server/ports.ts';
import { RowTexts } from '../../../agent/dashboard/server/row-texts.ts';

const REASON = 'x'.repeat(1024 * 1024);

/** All that a stream asks of the fleet here. */
const fleet: FleetView = {
  rows: () => [],
  row: () => null,
  isRevoked: () => false,
  isComplete: () => true,
  broker: () => ({ connected: false, since: '', url: '', reason: REASON }),
  controllers: () => [],
  rollouts: () => [],
  rollout: () => null,
  refused: () => 0,
  documents: async () => ({ birth: null, twin: null, jobs: [], decisions: [] }),
  listen: () => () => undefined,
};

const server = createServer();
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

test('a reader that takes nothing and may not look any more is cut off, and harms nobody', async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connect(port, '127.0.0.1');
  client.on('error', () => undefined);
  client.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  client.pause();
  const [, response] = (await once(server, 'request')) as [unknown, ServerResponse];
  const errors: unknown[] = [];
  response.on('error', (error) => errors.push(error));
  const stream = new EventStream(response, { fleet, texts: new RowTexts(), deviceId: null });
  const news = () => {
    stream.noteFlag('broker');
    stream.flush();
  };
  for (let sent = 0; sent < 64 && !response.writableNeedDrain; sent += 1) news();
  expect(response.writableNeedDrain).toBe(true);
  stream.end();
  news();
  stream.beat();
  await sleep(50);
  expect(errors).toEqual([]);
  expect(response.destroyed).toBe(true);
  client.destroy();
}, 20_000);

test('nothing follows the end, also where it has not been taken yet', async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connect(port, '127.0.0.1');
  client.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  const [, response] = (await once(server, 'request')) as [unknown, ServerResponse];
  const errors: unknown[] = [];
  response.on('error', (error) => errors.push(error));
  const stream = new EventStream(response, { fleet, texts: new RowTexts(), deviceId: null });
  stream.end();
  stream.noteFlag('complete');
  stream.flush();
  stream.beat();
  await sleep(50);
  expect(errors).toEqual([]);
  client.destroy();
}, 20_000);
