import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import sirv from 'sirv';
import { codeOf, messageOf } from '../util/errors.ts';
import { TrustError } from './errors.ts';
import { METADATA, TARGETS } from './tuf/layout.ts';

export interface ServeOptions {
  readonly folder: string;
  readonly host: string;
  /** 0 takes any that is free. */
  readonly port: number;
  /** Told of each request when it is answered: method, path, status, bytes. */
  readonly onRequest?: (line: string) => void;
}

export interface Serving {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serves a repository for trials and small fleets, with ranges and validators, so that downloads
 * resume. Only metadata and targets are served: keys that somebody left in the folder are not. Any
 * other HTTP server does as well: the files are signed. Throws TrustError.
 */
export async function serveRepository(options: ServeOptions): Promise<Serving> {
  const { folder, host, port } = options;
  // dev: files appear while it runs; they are looked up when asked for.
  const handlers = new Map(
    [METADATA, TARGETS].map((name) => [
      name,
      sirv(join(folder, name), { dev: true, etag: true, dotfiles: false }),
    ]),
  );
  const server = createServer((request, response) => {
    const began = request.url ?? '/';
    response.on('finish', () => {
      options.onRequest?.(`${request.method ?? ''} ${began} ${response.statusCode}`);
    });
    const missing = () => {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
    };
    const [, name = '', rest = ''] = /^\/(metadata|targets)(\/[^?]*)/.exec(began) ?? [];
    const handler = handlers.get(name);
    if (handler === undefined) return missing();
    request.url = rest;
    return handler(request, response, missing);
  });
  await listen(server, host, port);
  const address = server.address();
  const taken = typeof address === 'object' && address !== null ? address.port : port;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${taken}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const why = codeOf(cause) === 'EADDRINUSE' ? 'the port is in use' : messageOf(cause);
      reject(
        new TrustError('BAD_REPOSITORY', `cannot serve on ${host}:${port}: ${why}`, { cause }),
      );
    });
    server.listen(port, host, resolve);
  });
}
