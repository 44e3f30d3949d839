import type { EventEmitter } from 'node:events';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import type { Duplex } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { Aedes } from 'aedes';
import { connectBroker } from '../../agent/fleet/broker-connection.ts';
import { parseBrokerUrl } from '../../agent/fleet/broker-url.ts';
import { publishReport } from '../../agent/fleet/report.ts';
import { benchReport } from '../fleet/support/documents.ts';
import {
  afterThisTest,
  BIRTH,
  listen,
  mosquitto,
  options,
  subscriber,
} from '../fleet/support/harness.ts';
import { describeWithMosquitto, freePort } from '../fleet/support/mosquitto.ts';

// The WebSocket library that the MQTT library brings along.
const requireBesideMqtt = createRequire(createRequire(import.meta.url).resolve('mqtt'));
const { WebSocketServer, createWebSocketStream }: WebSockets = requireBesideMqtt('ws');

interface WebSockets {
  readonly WebSocketServer: new (options: { server: Server; path: string }) => EventEmitter;
  readonly createWebSocketStream: (socket: unknown) => Duplex;
}

/** An aedes broker; `authorize` says which topics may be published. */
async function startAedes(authorize?: (topic: string) => boolean) {
  const broker = await Aedes.createBroker();
  broker.authorizePublish = (_client, { topic }, done) => {
    done(authorize?.(topic) === false ? new Error('not yours') : null);
  };
  afterThisTest(
    () =>
      new Promise<void>((resolve) => {
        broker.close(() => resolve());
      }),
  );
  return { broker, port: await listen(createServer(broker.handle)) };
}

describe('a broker of MQTT 3.1.1 only (aedes)', () => {
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
  afterThisTest(connection.close);
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

  test('a report over 128 KiB is refused before anything is sent', async () => {
    const report = benchReport('x'.repeat(128 * 1024));
    const failure = publishReport(options('mqtt://127.0.0.1:9', { report }));
    await expect(failure).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });
});

describeWithMosquitto('a mosquitto that goes away while a message is under way', () => {
  const message = { topic: 't', payload: '{}', retain: false, schema: 's' };

  test('killed', async () => {
    const { port, process } = await mosquitto('allow_anonymous true');
    const { address } = parseBrokerUrl(`mqtt://127.0.0.1:${port}`);
    const connection = await connectBroker({ address }, { clientId: 'c', timeoutMs: 5000 });
    afterThisTest(connection.close);
    process.kill('SIGSTOP');
    const failure = connection.publish(message);
    process.kill('SIGKILL');
    await expect(failure).rejects.toMatchObject({ code: 'UNREACHABLE' });
    await expect(failure).rejects.toThrow('hung up before it acknowledged t (2 bytes)');
    await expect(connection.publish(message)).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  test('shut down in order', async () => {
    const { port, process } = await mosquitto('allow_anonymous true');
    const { address } = parseBrokerUrl(`mqtt://127.0.0.1:${port}`);
    const connection = await connectBroker({ address }, { clientId: 'c', timeoutMs: 5000 });
    afterThisTest(connection.close);
    const exit = once(process, 'exit', { signal: AbortSignal.timeout(5000) });
    process.kill('SIGTERM');
    await exit;
    await expect(connection.publish(message)).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  test('said goodbye to before', async () => {
    const { port } = await mosquitto('allow_anonymous true');
    const { address } = parseBrokerUrl(`mqtt://127.0.0.1:${port}`);
    const connection = await connectBroker({ address }, { clientId: 'c', timeoutMs: 5000 });
    await connection.close();
    await expect(connection.publish(message)).rejects.toMatchObject({
      code: 'UNREACHABLE',
      message: expect.stringContaining('hung up before it acknowledged t'),
    });
  });

  test('frozen', async () => {
    const { port, process } = await mosquitto('allow_anonymous true');
    const { address } = parseBrokerUrl(`mqtt://127.0.0.1:${port}`);
    const connection = await connectBroker({ address }, { clientId: 'c', timeoutMs: 300 });
    afterThisTest(connection.close);
    process.kill('SIGSTOP');
    const failure = connection.publish(message);
    await expect(failure).rejects.toMatchObject({ code: 'TIMEOUT' });
    await expect(failure).rejects.toThrow('acknowledging t');
  });

  test('the caller gives up', async () => {
    const { port, process } = await mosquitto('allow_anonymous true');
    const { address } = parseBrokerUrl(`mqtt://127.0.0.1:${port}`);
    const signal = AbortSignal.timeout(200);
    const connection = await connectBroker({ address }, { clientId: 'c', timeoutMs: 5000, signal });
    afterThisTest(connection.close);
    process.kill('SIGSTOP');
    await expect(connection.publish(message)).rejects.toMatchObject({ name: 'TimeoutError' });
  });
});
