// @ts-check
// A proxy on the loopback interface that lets a command reach the npm registry and nothing else, and
// remembers every host that was asked for.
import { createServer, request } from 'node:http';
import { connect } from 'node:net';

/**
 * @typedef {object} RegistryGuard
 * @property {number} port
 * @property {NodeJS.ProcessEnv} environment variables that send npm, Node and global-agent through it
 * @property {() => { allowed: number, refused: string[] }} report connections so far
 * @property {() => Promise<void>} close
 */

/**
 * Starts a guard for one registry. Everything else is answered with 403 and reported.
 * @param {URL} registry
 * @param {URL | undefined} upstream the proxy this machine itself has to use, if any
 * @returns {Promise<RegistryGuard>}
 */
export async function startRegistryGuard(registry, upstream) {
  const home = authority(registry);
  let allowed = 0;
  /** @type {Set<string>} */
  const refused = new Set();
  /** @type {Set<import('node:stream').Duplex>} */
  const sockets = new Set();
  /** @param {string} host */
  const admit = (host) => {
    if (host === home) allowed += 1;
    else refused.add(host);
    return host === home;
  };

  const server = createServer((incoming, outgoing) => {
    const target = URL.canParse(incoming.url ?? '') ? new URL(incoming.url ?? '') : undefined;
    if (target === undefined || !admit(authority(target))) {
      outgoing.writeHead(403).end('not the registry');
      return;
    }
    forwardPlain(incoming, outgoing, target, upstream);
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('connect', (incoming, client, head) => {
    const host = incoming.url ?? '';
    if (!admit(host)) {
      client.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      return;
    }
    sockets.add(tunnel(host, client, head, upstream));
  });
  await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(undefined));
  });

  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the guard has no port');
  return {
    port: address.port,
    environment: proxyEnvironment(`http://127.0.0.1:${address.port}`),
    report: () => ({ allowed, refused: [...refused].toSorted() }),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => {
        server.close(() => resolve(undefined));
      });
    },
  };
}

/** @param {URL} url */
function authority(url) {
  return `${url.hostname}:${url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port}`;
}

/**
 * @param {string} host
 * @param {import('node:stream').Duplex} client
 * @param {Buffer} head
 * @param {URL | undefined} upstream
 */
function tunnel(host, client, head, upstream) {
  const via = upstream ? authority(upstream) : host;
  const colon = via.lastIndexOf(':');
  const remote = connect(Number(via.slice(colon + 1)), via.slice(0, colon), () => {
    if (upstream) remote.write(`CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    else client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    remote.write(head);
    remote.pipe(client);
    client.pipe(remote);
  });
  // A broken connection on one side ends the other; npm retries by itself.
  remote.on('error', () => client.destroy());
  client.on('error', () => remote.destroy());
  return remote;
}

/**
 * @param {import('node:http').IncomingMessage} incoming
 * @param {import('node:http').ServerResponse} outgoing
 * @param {URL} target
 * @param {URL | undefined} upstream
 */
function forwardPlain(incoming, outgoing, target, upstream) {
  const hop = upstream ?? target;
  const onward = request(
    {
      host: hop.hostname,
      port: hop.port,
      method: incoming.method,
      path: upstream ? target.href : `${target.pathname}${target.search}`,
      headers: incoming.headers,
    },
    (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    },
  );
  onward.on('error', () => outgoing.destroy());
  incoming.pipe(onward);
}

/** @param {string} proxy */
function proxyEnvironment(proxy) {
  return {
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    http_proxy: proxy,
    https_proxy: proxy,
    NO_PROXY: '',
    no_proxy: '',
    npm_config_proxy: proxy,
    npm_config_https_proxy: proxy,
    npm_config_noproxy: '',
    NODE_USE_ENV_PROXY: '1',
    // onnxruntime-node's install script reads these.
    GLOBAL_AGENT_HTTP_PROXY: proxy,
    GLOBAL_AGENT_HTTPS_PROXY: proxy,
  };
}
