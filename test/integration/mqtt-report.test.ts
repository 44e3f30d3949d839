import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, test } from '@jest/globals';
import { Aedes } from 'aedes';
import { connect, connectAsync } from 'mqtt';
import type { IPublishPacket } from 'mqtt';
import { connectBroker } from '../../agent/fleet/broker-connection.ts';
import { parseBrokerUrl } from '../../agent/fleet/broker-url.ts';
import { publishReport } from '../../agent/fleet/report.ts';
import type { ReportOptions } from '../../agent/fleet/report.ts';
import { benchReport, facts } from '../fleet/support/documents.ts';
import { freePort, mosquittoTest, startMosquitto } from '../fleet/support/mosquitto.ts';

// The WebSocket library that the MQTT library brings along.
const requireBesideMqtt = createRequire(createRequire(import.meta.url).resolve('mqtt'));
const { WebSocketServer, createWebSocketStream }: WebSockets = requireBesideMqtt('ws');

interface WebSockets {
  readonly WebSocketServer: new (options: { server: Server; path: string }) => EventEmitter;
  readonly createWebSocketStream: (socket: unknown) => Duplex;
}

const DEVICE = 'pi-7';
const BIRTH = `edgefit/v1/d/${DEVICE}/up/birth`;

const cleanups: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) {
    // oxlint-disable-next-line no-await-in-loop -- last started, first stopped
    await cleanup();
  }
});

async function mosquitto(...lines: readonly string[]) {
  const broker = await startMosquitto(lines);
  cleanups.push(broker.stop);
  return broker;
}

function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'edgefit-mqtt-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
  }
  return folder;
}

async function listen(server: Server): Promise<number> {
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

function options(url: string, more: Partial<ReportOptions> = {}): ReportOptions {
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

interface Subscriber {
  /** The next `count` messages. */
  take(count: number): Promise<IPublishPacket[]>;
}

/** A client of its own that reads everything below the root. */
async function subscriber(port: number): Promise<Subscriber> {
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

const textOf = ({ payload }: IPublishPacket): string => payload.toString();

describe('a mosquitto', () => {
  mosquittoTest('takes birth and benchmark over MQTT 5', async () => {
    const { port } = await mosquitto('allow_anonymous true');
    const reader = await subscriber(port);
    const published = await publishReport(options(`mqtt://127.0.0.1:${port}`));
    const [birth, bench] = await reader.take(2);
    expect(published.protocol).toBe(5);
    expect(published.topics).toEqual([BIRTH, bench?.topic]);
    expect(JSON.parse(textOf(bench!))).toEqual(benchReport());
    expect(JSON.parse(textOf(birth!))).toMatchObject({ deviceId: DEVICE, session: null });
    expect(published.bytes).toBe(textOf(birth!).length + textOf(bench!).length);
  });

  mosquittoTest('keeps the birth, but not the benchmark, for a late subscriber', async () => {
    const { port } = await mosquitto('allow_anonymous true');
    await publishReport(options(`mqtt://127.0.0.1:${port}`));
    const reader = await subscriber(port);
    const [birth] = await reader.take(1);
    expect(birth).toMatchObject({ topic: BIRTH, retain: true });
    // A second report shows that nothing else was waiting: the next two are its own.
    await publishReport(options(`mqtt://127.0.0.1:${port}`));
    const next = await reader.take(2);
    expect(next.map(({ retain }) => retain)).toEqual([false, false]);
  });

  mosquittoTest('gets content type and schema as MQTT 5 properties', async () => {
    const { port } = await mosquitto('allow_anonymous true');
    await publishReport(options(`mqtt://127.0.0.1:${port}`));
    const client = connect({ port, host: '127.0.0.1', protocolVersion: 5, reconnectPeriod: 0 });
    cleanups.push(() => client.endAsync(true));
    const message = new Promise<IPublishPacket>((resolve) => {
      client.once('message', (_topic, _payload, packet) => resolve(packet));
    });
    await client.subscribeAsync(BIRTH);
    expect((await message).properties).toMatchObject({
      contentType: 'application/json',
      userProperties: { schema: 'edgefit/birth/1' },
    });
  });

  mosquittoTest('leaves the birth to the daemon when asked', async () => {
    const { port } = await mosquitto('allow_anonymous true');
    const published = await publishReport(options(`mqtt://127.0.0.1:${port}`, { announce: false }));
    expect(published.topics).toHaveLength(1);
    expect(published.topics[0]).toContain('/up/bench/');
  });

  mosquittoTest('does not throw out a daemon with the same device id', async () => {
    const { port } = await mosquitto('allow_anonymous true');
    const settings = { port, host: '127.0.0.1', clientId: DEVICE, reconnectPeriod: 0 };
    const daemon = await connectAsync(settings);
    cleanups.push(() => daemon.endAsync(true));
    await publishReport(options(`mqtt://127.0.0.1:${port}`));
    await daemon.publishAsync('still/there', 'yes', { qos: 1 });
    expect(daemon.connected).toBe(true);
  });

  mosquittoTest('takes 3.1.1 when only that is wanted', async () => {
    const { port } = await mosquitto('allow_anonymous true');
    const published = await publishReport(options(`mqtt://127.0.0.1:${port}`, { protocols: [4] }));
    expect(published.protocol).toBe(4);
  });
});

/** A password file in the form that mosquitto 2 reads, made by its own tool's algorithm. */
describe('a mosquitto with users', () => {
  /** `user:secret`, as `mosquitto_passwd` writes it (PBKDF2, SHA-512, 101 rounds). */
  async function withUser(...lines: readonly string[]) {
    const salt = randomBytes(12);
    const hash = pbkdf2Sync('secret', salt, 101, 64, 'sha512');
    const entry = `user:$7$101$${salt.toString('base64')}$${hash.toString('base64')}\n`;
    const folder = folderWith({ passwd: entry });
    return mosquitto('allow_anonymous false', `password_file ${join(folder, 'passwd')}`, ...lines);
  }

  mosquittoTest('lets the right password in', async () => {
    const { port } = await withUser();
    const published = await publishReport(options(`mqtt://user:secret@127.0.0.1:${port}`));
    expect(published.topics).toHaveLength(2);
  });

  mosquittoTest.each([
    ['user:wr0ng@', [5, 4] as const, 'refused user "user"'],
    ['user:wr0ng@', [4] as const, 'refused user "user"'],
    ['', [5, 4] as const, 'refused an anonymous client: not authorized; give --mqtt-user'],
  ])('refuses %j over %j', async (credentials, protocols, message) => {
    const { port } = await withUser();
    const url = `mqtt://${credentials}127.0.0.1:${port}`;
    const failure = publishReport(options(url, { protocols }));
    await expect(failure).rejects.toMatchObject({ code: 'NOT_AUTHORIZED', kind: 'failure' });
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.not.toThrow('wr0ng');
  });

  mosquittoTest('names topic and user when the ACL refuses (MQTT 5)', async () => {
    const folder = folderWith({ acl: 'user user\ntopic write some/where\n' });
    const { port } = await withUser(`acl_file ${join(folder, 'acl')}`);
    const failure = publishReport(options(`mqtt://user:secret@127.0.0.1:${port}`));
    await expect(failure).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
    await expect(failure).rejects.toThrow(
      `refused topic ${BIRTH}: not authorized; check the ACL for user "user"`,
    );
  });

  // MQTT 3.1.1 has no way to refuse: mosquitto acknowledges and drops. The result says which
  // protocol was spoken, so that the caller can tell how much an acknowledgement is worth.
  mosquittoTest('drops silently what the ACL refuses under 3.1.1', async () => {
    const folder = folderWith({ acl: 'user user\ntopic read #\n' });
    const { port } = await withUser(`acl_file ${join(folder, 'acl')}`);
    const url = `mqtt://user:secret@127.0.0.1:${port}`;
    await expect(publishReport(options(url, { protocols: [4] }))).resolves.toMatchObject({
      protocol: 4,
    });
  });

  mosquittoTest('the ACL of a fleet is two lines', async () => {
    const acl = 'pattern write edgefit/v1/d/%u/up/#\npattern read edgefit/v1/d/%u/dn/#\n';
    const folder = folderWith({ acl });
    const { port } = await withUser(`acl_file ${join(folder, 'acl')}`);
    const url = `mqtt://user:secret@127.0.0.1:${port}`;
    const own = await publishReport(options(url, { deviceId: 'user' }));
    expect(own.topics).toHaveLength(2);
    const other = publishReport(options(url, { deviceId: 'someone-else' }));
    await expect(other).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
  });
});

describe('limits', () => {
  mosquittoTest('a message over the packet size that the broker announced', async () => {
    const { port } = await mosquitto('allow_anonymous true', 'max_packet_size 2500');
    const report = benchReport('x'.repeat(4000));
    const failure = publishReport(options(`mqtt://127.0.0.1:${port}`, { report }));
    await expect(failure).rejects.toMatchObject({ code: 'TOO_LARGE' });
    await expect(failure).rejects.toThrow('allows 2500');
  });

  mosquittoTest('the announced limit is met to the byte', async () => {
    const { port } = await mosquitto('allow_anonymous true', 'max_packet_size 1000');
    const { address } = parseBrokerUrl(`mqtt://127.0.0.1:${port}`);
    const connection = await connectBroker({ address }, { clientId: 'c', timeoutMs: 5000 });
    cleanups.push(connection.close);
    // 3 bytes fixed header, 2 + 1 topic, 2 packet id, 1 + 32 + 1 properties, 958 payload.
    const message = { topic: 't', retain: false, schema: 's', payload: 'x'.repeat(958) };
    await connection.publish(message);
    const larger = connection.publish({ ...message, payload: 'x'.repeat(959) });
    await expect(larger).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });

  mosquittoTest('the same limit under 3.1.1 is a hang-up, and the message says why', async () => {
    const { port } = await mosquitto('allow_anonymous true', 'max_packet_size 2500');
    const report = benchReport('x'.repeat(4000));
    const url = `mqtt://127.0.0.1:${port}`;
    const failure = publishReport(options(url, { report, protocols: [4] }));
    await expect(failure).rejects.toMatchObject({ code: 'UNREACHABLE' });
    await expect(failure).rejects.toThrow('allows no message of this size');
  });

  test('a report over 128 KiB is refused before anything is sent', async () => {
    const report = benchReport('x'.repeat(128 * 1024));
    const failure = publishReport(options('mqtt://127.0.0.1:9', { report }));
    await expect(failure).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });

  mosquittoTest('a broker without retained messages is refused', async () => {
    const { port } = await mosquitto('allow_anonymous true', 'retain_available false');
    const failure = publishReport(options(`mqtt://127.0.0.1:${port}`));
    await expect(failure).rejects.toMatchObject({ code: 'REFUSED' });
    await expect(failure).rejects.toThrow('keeps no retained messages');
  });
});

describe('a broker of MQTT 3.1.1 only (aedes)', () => {
  async function startAedes(authorize?: (topic: string) => boolean) {
    const broker = await Aedes.createBroker();
    broker.authorizePublish = (_client, { topic }, done) => {
      done(authorize?.(topic) === false ? new Error('not yours') : null);
    };
    cleanups.push(
      () =>
        new Promise<void>((resolve) => {
          broker.close(() => resolve());
        }),
    );
    return { broker, port: await listen(createServer(broker.handle)) };
  }

  test('is spoken to in 3.1.1, birth retained', async () => {
    const { port } = await startAedes();
    const published = await publishReport(options(`mqtt://127.0.0.1:${port}`));
    expect(published.protocol).toBe(4);
    const [birth] = await (await subscriber(port)).take(1);
    expect(birth).toMatchObject({ topic: BIRTH, retain: true });
  });

  test('hangs up on what its ACL refuses', async () => {
    const { port } = await startAedes((topic) => !topic.includes('/bench/'));
    const failure = publishReport(options(`mqtt://127.0.0.1:${port}`));
    await expect(failure).rejects.toMatchObject({ code: 'UNREACHABLE' });
    await expect(failure).rejects.toThrow('its ACL refuses an anonymous client');
  });

  test('is reached over WebSockets', async () => {
    const { broker } = await startAedes();
    const server = createHttpServer();
    // mosquitto's WebSockets depend on how its package was built; aedes takes any stream.
    const sockets = new WebSocketServer({ server, path: '/mqtt' });
    sockets.on('connection', (socket) => {
      broker.handle(createWebSocketStream(socket));
    });
    const published = await publishReport(options(`ws://127.0.0.1:${await listen(server)}`));
    expect(published.topics).toHaveLength(2);
  });

  test('is not spoken to when only MQTT 5 is wanted', async () => {
    const { port } = await startAedes();
    const failure = publishReport(options(`mqtt://127.0.0.1:${port}`, { protocols: [5] }));
    await expect(failure).rejects.toMatchObject({ code: 'REFUSED' });
  });
});

/** A CONNACK of MQTT 3.1.1 that accepts. */
const CONNACK = Buffer.from([0x20, 2, 0, 0]);

test('a broker that hangs up on MQTT 5 without a word is spoken to in 3.1.1', async () => {
  const versions: number[] = [];
  const server = createServer((socket) => {
    socket.once('data', (data) => {
      // Fixed header (2 or 3 bytes), then the length-prefixed name "MQTT" and the version.
      const version = data[data.indexOf('MQTT') + 4] ?? 0;
      versions.push(version);
      if (version === 5) socket.destroy();
      else socket.write(CONNACK);
    });
  });
  const { address } = parseBrokerUrl(`mqtt://127.0.0.1:${await listen(server)}`);
  const connection = await connectBroker({ address }, { clientId: 'c', timeoutMs: 5000 });
  cleanups.push(connection.close);
  expect(connection.protocol).toBe(4);
  expect(versions).toEqual([5, 4]);
});

describe('no broker', () => {
  test('nothing listens', async () => {
    const failure = publishReport(options(`mqtt://127.0.0.1:${await freePort()}`));
    await expect(failure).rejects.toMatchObject({ code: 'UNREACHABLE', kind: 'failure' });
    await expect(failure).rejects.toThrow(/^cannot reach mqtt:.*: connection refused; is the/);
  });

  test('nothing listens on a name with two addresses', async () => {
    const failure = publishReport(options(`mqtt://localhost:${await freePort()}`));
    await expect(failure).rejects.toThrow('connection refused');
  });

  test('nothing listens for WebSockets', async () => {
    const failure = publishReport(options(`ws://127.0.0.1:${await freePort()}`));
    await expect(failure).rejects.toThrow('connection refused');
  });

  test('an unknown host', async () => {
    const failure = publishReport(options('mqtt://no-such-host.invalid'));
    await expect(failure).rejects.toMatchObject({ code: 'UNREACHABLE' });
    await expect(failure).rejects.toThrow(/host name (is unknown|could not be looked up)/);
  });

  test('a server that accepts and says nothing', async () => {
    const port = await listen(createServer());
    const failure = publishReport(options(`mqtt://127.0.0.1:${port}`, { timeoutMs: 300 }));
    await expect(failure).rejects.toMatchObject({ code: 'TIMEOUT' });
    await expect(failure).rejects.toThrow('gave no answer within 0.3 s (connecting)');
  });

  test('a web server on that port', async () => {
    const server = createServer((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    });
    const failure = publishReport(options(`mqtt://127.0.0.1:${await listen(server)}`));
    await expect(failure).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  test('a web server that knows no WebSocket', async () => {
    const server = createServer((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'));
    });
    const failure = publishReport(options(`ws://127.0.0.1:${await listen(server)}`));
    await expect(failure).rejects.toMatchObject({ code: 'UNREACHABLE' });
    await expect(failure).rejects.toThrow('404');
  });

  test('the caller gives up while connecting', async () => {
    const port = await listen(createServer());
    const signal = AbortSignal.timeout(100);
    const failure = publishReport(options(`mqtt://127.0.0.1:${port}`, { signal }));
    await expect(failure).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  test('the caller had given up before', async () => {
    const signal = AbortSignal.abort();
    const failure = publishReport(options('mqtt://127.0.0.1:9', { signal }));
    await expect(failure).rejects.toMatchObject({ name: 'AbortError' });
  });
});

describe('a broker that goes away while a message is under way', () => {
  const message = { topic: 't', payload: '{}', retain: false, schema: 's' };

  mosquittoTest('killed', async () => {
    const { port, process } = await mosquitto('allow_anonymous true');
    const { address } = parseBrokerUrl(`mqtt://127.0.0.1:${port}`);
    const connection = await connectBroker({ address }, { clientId: 'c', timeoutMs: 5000 });
    cleanups.push(connection.close);
    process.kill('SIGSTOP');
    const failure = connection.publish(message);
    process.kill('SIGKILL');
    await expect(failure).rejects.toMatchObject({ code: 'UNREACHABLE' });
    await expect(failure).rejects.toThrow('hung up before it acknowledged t (2 bytes)');
    await expect(connection.publish(message)).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  mosquittoTest('shut down in order', async () => {
    const { port, process } = await mosquitto('allow_anonymous true');
    const { address } = parseBrokerUrl(`mqtt://127.0.0.1:${port}`);
    const connection = await connectBroker({ address }, { clientId: 'c', timeoutMs: 5000 });
    cleanups.push(connection.close);
    const exit = once(process, 'exit', { signal: AbortSignal.timeout(5000) });
    process.kill('SIGTERM');
    await exit;
    await expect(connection.publish(message)).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  mosquittoTest('frozen', async () => {
    const { port, process } = await mosquitto('allow_anonymous true');
    const { address } = parseBrokerUrl(`mqtt://127.0.0.1:${port}`);
    const connection = await connectBroker({ address }, { clientId: 'c', timeoutMs: 300 });
    cleanups.push(connection.close);
    process.kill('SIGSTOP');
    const failure = connection.publish(message);
    await expect(failure).rejects.toMatchObject({ code: 'TIMEOUT' });
    await expect(failure).rejects.toThrow('acknowledging t');
  });

  mosquittoTest('the caller gives up', async () => {
    const { port, process } = await mosquitto('allow_anonymous true');
    const { address } = parseBrokerUrl(`mqtt://127.0.0.1:${port}`);
    const signal = AbortSignal.timeout(200);
    const connection = await connectBroker({ address }, { clientId: 'c', timeoutMs: 5000, signal });
    cleanups.push(connection.close);
    process.kill('SIGSTOP');
    await expect(connection.publish(message)).rejects.toMatchObject({ name: 'TimeoutError' });
  });
});
