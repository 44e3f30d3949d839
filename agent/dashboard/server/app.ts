import cookie from '@fastify/cookie';
import rateLimit from '@fastify/rate-limit';
import fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import type { ApiError, ApiErrorCode } from '../../contracts/dashboard.ts';
import { codeOf, messageOf } from '../../util/errors.ts';
import { Guard } from './access/guard.ts';
import type { ProxyLogin } from './access/proxy.ts';
import { addCompression } from './compress.ts';
import { ApiFailure, STATUS } from './error.ts';
import { EventHub } from './event-hub.ts';
import { addHeaders, SECURITY_HEADERS } from './headers.ts';
import { addPage, type PageFiles } from './page-files.ts';
import { addBenchRoutes } from './routes/benches.ts';
import { addFleetRoutes, type FleetParts } from './routes/fleet.ts';
import { addRolloutRoutes } from './routes/rollouts.ts';
import { addSessionRoutes, type SessionParts } from './routes/session.ts';
import { RowTexts } from './row-texts.ts';
import { seldom } from './seldom.ts';

export interface AppParts extends SessionParts, Omit<FleetParts, 'texts'> {
  readonly proxy: ProxyLogin | null;
  /** Whose X-Forwarded-For and -Proto are believed. */
  readonly proxyFrom: readonly string[];
  readonly files: PageFiles;
  readonly tls: { readonly cert: string; readonly key: string } | null;
}

/** The largest body is a rollout's specification; a selector has at most 2,000 characters. */
const MAX_BODY_BYTES = 64 * 1024;
const REQUEST_MS = 30_000;

/** Codes of the framework that are the caller's fault. */
const FRAMEWORK_CODES: Readonly<Record<string, ApiErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'bad_request',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'bad_request',
  FST_ERR_CTP_INVALID_JSON_BODY: 'bad_request',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'bad_request',
};

/** The whole HTTP server, not yet listening. Closing it ends the event streams too. */
export async function createApp(parts: AppParts): Promise<FastifyInstance> {
  const app = fastify({
    logger: false,
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_MS,
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    frameworkErrors: (_error, _request, { raw }) => {
      raw.writeHead(400, {
        ...SECURITY_HEADERS,
        'content-type': 'application/json; charset=utf-8',
      });
      raw.end(JSON.stringify(answer('bad_request', 'it is no address of a page')));
    },
    trustProxy: parts.proxyFrom.length === 0 ? false : [...parts.proxyFrom],
    ...(parts.tls === null ? {} : { https: { ...parts.tls, minVersion: 'TLSv1.2' as const } }),
  });
  // A form of another page can send text/plain without asking first.
  app.removeContentTypeParser('text/plain');
  const guard = new Guard(parts);
  const texts = new RowTexts();
  const hub = new EventHub({ fleet: parts.fleet, texts, guard });
  const log = seldom(parts.log);
  addErrors(app, log);
  addHeaders(app, parts.tls !== null);
  addCompression(app);
  await app.register(cookie);
  await app.register(rateLimit, { global: false });
  guard.protect(app);
  addSessionRoutes(app, parts);
  addFleetRoutes(app, { ...parts, texts, log });
  addRolloutRoutes(app, parts);
  addBenchRoutes(app, parts);
  hub.addRoute(app);
  addPage(app, parts.files);
  app.addHook('onReady', async () => hub.start());
  app.addHook('preClose', async () => hub.stop());
  return app;
}

function addErrors(app: FastifyInstance, log: (message: string) => void): void {
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send(answer('not_found', 'there is nothing here')),
  );
  app.setErrorHandler((error: FastifyError, _request, reply) => {
    const failure = failureOf(error);
    if (failure.code === 'failed') log(`a request failed: ${messageOf(error)}`);
    return reply.code(STATUS[failure.code]).send(answer(failure.code, failure.message));
  });
}

function failureOf(error: unknown): ApiFailure {
  if (error instanceof ApiFailure) return error;
  const code = FRAMEWORK_CODES[codeOf(error) ?? ''];
  if (code !== undefined) return new ApiFailure(code, messageOf(error), error);
  // What went wrong inside is for the log, not for whoever asked.
  return new ApiFailure('failed', 'the server failed; its log says why', error);
}

function answer(code: ApiErrorCode, text: string): ApiError {
  return { error: { code, text } };
}
