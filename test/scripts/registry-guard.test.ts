import { createServer, request } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { strayAddresses } from '../../scripts/install/connect-trace.js';
import { startRegistryGuard } from '../../scripts/install/registry-guard.js';

/** Stands for the registry: answers every request with one word. */
const origin = createServer((_, answer) => answer.end('package'));
let registry: URL;

beforeAll(async () => {
  await new Promise<void>((resolve) => {
    origin.listen(0, '127.0.0.1', resolve);
  });
  registry = new URL(`http://127.0.0.1:${(origin.address() as AddressInfo).port}/npm/`);
});

afterAll(() => {
  origin.close();
  origin.closeAllConnections();
});

/** First line of the proxy's answer to a CONNECT request. */
function connectThrough(port: number, host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(`CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    });
    socket.setTimeout(5000, () => socket.destroy(new Error('no answer')));
    socket.once('data', (data) => {
      resolve(data.toString().split('\r\n')[0] ?? '');
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

/** Status and body of a plain request sent to the proxy with an absolute address. */
function getThrough(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, timeout: 5000 }, (answer) => {
      let text = '';
      answer.on('data', (chunk) => (text += String(chunk)));
      answer.on('end', () => resolve(`${answer.statusCode} ${text}`));
    })
      .on('error', reject)
      .end();
  });
}

test('lets the registry through, refuses and names everything else', async () => {
  const guard = await startRegistryGuard(registry, undefined);
  try {
    expect(await connectThrough(guard.port, registry.host)).toBe(
      'HTTP/1.1 200 Connection established',
    );
    expect(await getThrough(guard.port, `${registry.href}left-pad`)).toBe('200 package');
    expect(await connectThrough(guard.port, 'cuda.example:443')).toBe('HTTP/1.1 403 Forbidden');
    expect(await getThrough(guard.port, 'http://feed.example/x')).toBe('403 not the registry');
    // The same machine on another port is another place.
    expect(await connectThrough(guard.port, '127.0.0.1:1')).toBe('HTTP/1.1 403 Forbidden');
    expect(guard.report()).toEqual({
      allowed: 2,
      refused: ['127.0.0.1:1', 'cuda.example:443', 'feed.example:80'],
    });
  } finally {
    await guard.close();
  }
});

test('goes through the proxy that the machine itself needs', async () => {
  const outer = await startRegistryGuard(registry, undefined);
  const inner = await startRegistryGuard(registry, new URL(`http://127.0.0.1:${outer.port}`));
  try {
    expect(await connectThrough(inner.port, registry.host)).toMatch(/^HTTP\/1\.1 200/);
    expect(await getThrough(inner.port, `${registry.href}left-pad`)).toBe('200 package');
    expect(outer.report().allowed).toBe(2);
  } finally {
    await inner.close();
    await outer.close();
  }
});

test('finds connections that went past the proxy', () => {
  const trace = [
    '12 connect(3, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1 ENOENT',
    '12 connect(20, {sa_family=AF_INET, sin_port=htons(4000), sin_addr=inet_addr("127.0.0.1")}, 16) = -1 EINPROGRESS',
    '13 connect(21, {sa_family=AF_INET, sin_port=htons(443), sin_addr=inet_addr("192.0.2.7")}, 16 <unfinished ...>',
    '13 connect(22, {sa_family=AF_INET6, sin6_port=htons(443), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "2001:db8::1", &sin6_addr), sin6_scope_id=0}, 28) = 0',
    '13 connect(23, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16) = 0',
  ].join('\n');
  expect(strayAddresses(trace, 4000)).toEqual(['127.0.0.1:80', '192.0.2.7:443', '2001:db8::1:443']);
});
