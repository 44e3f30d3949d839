import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AgentError, codeOf, messageOf } from '../util/errors.ts';
import { buildRegistry, type Family } from './prometheus.ts';

export type MetricsErrorCode = 'LISTEN';

/** An address at which nothing can be served. */
export class MetricsError extends AgentError {
  override readonly name = 'MetricsError';

  constructor(code: MetricsErrorCode, message: string, options: { readonly cause?: unknown }) {
    super(code, message, { ...options, kind: 'failure' });
  }
}

export interface MetricsServer {
  readonly port: number;
  readonly close: () => Promise<void>;
}

export interface MetricsOptions {
  /** HOST:PORT; an IPv6 address in brackets. */
  readonly listen: string;
  readonly families: readonly Family[];
  /** Brings the values up to date, before they are read. */
  readonly refresh?: () => Promise<void>;
}

/** Who asks for metrics sends a few lines and takes the answer at once. */
const REQUEST_MS = 10_000;

/** Serves `GET /metrics` for Prometheus. Throws MetricsError where it cannot listen. */
export async function serveMetrics(options: MetricsOptions): Promise<MetricsServer> {
  const { listen, families, refresh } = options;
  const registry = await buildRegistry(families);
  const answer = async (response: ServerResponse, withBody: boolean) => {
    await refresh?.();
    const text = await registry.metrics();
    response.writeHead(200, {
      'content-type': registry.contentType,
      'content-length': Buffer.byteLength(text),
    });
    response.end(withBody ? text : undefined);
  };
  const server = createServer({ requestTimeout: REQUEST_MS }, ({ method, url }, response) => {
    const [path] = (url ?? '').split('?');
    if (path !== '/metrics') return refuse(response, 404, 'only /metrics is here');
    if (method !== 'GET' && method !== 'HEAD') return refuse(response, 405, 'use GET');
    answer(response, method === 'GET').catch((error: unknown) => {
      refuse(response, 500, messageOf(error));
    });
  });
  const at = listen.lastIndexOf(':');
  const host = listen.slice(0, at).replace(/^\[(.*)\]$/, '$1');
  try {
    server.listen(Number(listen.slice(at + 1)), host);
    await once(server, 'listening');
  } catch (cause) {
    const why = codeOf(cause) === 'EADDRINUSE' ? 'the port is in use' : messageOf(cause);
    throw new MetricsError('LISTEN', `metrics.listen ${listen}: ${why}`, { cause });
  }
  return {
    port: portOf(server.address()),
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

function refuse(response: ServerResponse, status: number, why: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(status, { 'content-type': 'text/plain' }).end(`${why}\n`);
}

function portOf(address: AddressInfo | string | null): number {
  return address === null || typeof address === 'string' ? 0 : address.port;
}
