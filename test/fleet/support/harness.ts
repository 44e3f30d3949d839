import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';
import { connect } from 'mqtt';
import type { IPublishPacket } from 'mqtt';
import { parseBrokerUrl } from '../../../agent/fleet/broker-url.ts';
import type { ReportOptions } from '../../../agent/fleet/report.ts';
import { benchReport, facts } from './documents.ts';
import { startMosquitto } from './mosquitto.ts';

export const DEVICE = 'pi-7';
export const BIRTH = `edgefit/v1/d/${DEVICE}/up/birth`;

const cleanups: (() => Promise<unknown> | void)[] = [];

/** Runs `cleanup` after the test, in the reverse order of registration. */
export function afterThisTest(cleanup: () => Promise<unknown> | void): void {
  cleanups.push(cleanup);
}

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) {
    // oxlint-disable-next-line no-await-in-loop -- last started, first stopped
    await cleanup();
  }
});

export async function mosquitto(...lines: readonly string[]) {
  const broker = await startMosquitto(lines);
  cleanups.push(broker.stop);
  return broker;
}

export function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'edgefit-mqtt-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
  }
  return folder;
}

export async function listen(server: Server): Promise<number> {
  const open = new Set<Socket>();
  server.on('connection', (socket) => {
    open.add(socket);
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(async () => {
    for (const socket of open) socket.destroy();
    server.close();
    await once(server, 'close');
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export function options(url: string, more: Partial<ReportOptions> = {}): ReportOptions {
  const { address, user, password } = parseBrokerUrl(url);
  return {
    broker: { address, user, password },
    deviceId: DEVICE,
    facts,
    report: benchReport(),
    agent: '0.1.0',
    timeoutMs: 5000,
    ...more,
  };
}

export interface Subscriber {
  /** The next `count` messages. */
  take(count: number): Promise<IPublishPacket[]>;
}

/** A client of its own that reads everything below the root. */
export async function subscriber(port: number): Promise<Subscriber> {
  const client = connect({ port, host: '127.0.0.1', protocolVersion: 4, reconnectPeriod: 0 });
  cleanups.push(() => client.endAsync(true));
  const received: IPublishPacket[] = [];
  const arrival = new EventEmitter();
  client.on('message', (_topic, _payload, packet) => {
    received.push(packet);
    arrival.emit('message');
  });
  await client.subscribeAsync('edgefit/v1/#', { qos: 1 });
  return {
    take: async (count) => {
      const signal = AbortSignal.timeout(5000);
      while (received.length < count) {
        // oxlint-disable-next-line no-await-in-loop -- until enough have come
        await once(arrival, 'message', { signal });
      }
      return received.splice(0, count);
    },
  };
}

export const textOf = ({ payload }: IPublishPacket): string => payload.toString();
