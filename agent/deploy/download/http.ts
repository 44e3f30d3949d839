import { setTimeout as sleep } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import { codeOf, messageOf } from '../../util/errors.ts';
import { NotTrusted } from '../tuf/refused.ts';
import { Pieces } from './pieces.ts';

/** How patient downloads are. Tests shorten it; the defaults suit a mobile line. */
export interface Patience {
  /** Until the response's head is there, and between two pieces of its body. */
  readonly silenceMs: number;
  /** Below this over `slowWindowMs` the sender is stalling (TUF specification 1.5.2). */
  readonly minBytesPerSecond: number;
  readonly slowWindowMs: number;
  /** Tries of one file in a row that bring too little, and the pause before the second. */
  readonly tries: number;
  readonly firstPauseMs: number;
}

export const PATIENCE: Patience = {
  silenceMs: 30_000,
  minBytesPerSecond: 256,
  slowWindowMs: 30_000,
  tries: 6,
  firstPauseMs: 1000,
};

const MAX_PAUSE_MS = 60_000;
/** Statuses that a later try may not meet again (RFC 9110 15.6, RFC 6585 4). */
const PASSING_STATUSES: readonly number[] = [408, 425, 429, 500, 502, 503, 504];

export interface HttpResponse {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  readonly body: Pieces;
}

export interface HttpOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly patience: Patience;
}

let proxies: Dispatcher | undefined;

/** One GET, through the proxy that http_proxy, https_proxy and no_proxy name. */
export async function httpGet(url: string, options: HttpOptions): Promise<HttpResponse> {
  // Loaded with the first download: an idle daemon does without.
  const { EnvHttpProxyAgent, request } = await import('undici');
  proxies ??= new EnvHttpProxyAgent();
  const { silenceMs } = options.patience;
  try {
    const { statusCode, headers, body } = await request(url, {
      dispatcher: proxies,
      headers: { ...options.headers, 'accept-encoding': 'identity' },
      signal: options.signal,
      headersTimeout: silenceMs,
      bodyTimeout: silenceMs,
    });
    const header = (name: string) => [headers[name]].flat()[0];
    return { status: statusCode, header, body: new Pieces(body) };
  } catch (error) {
    throw unreachable(url, error, options.signal);
  }
}

/** What a broken connection is called; an abort stays what it is. */
export function unreachable(url: string, error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (error instanceof NotTrusted) return error;
  const why = codeOf(error) ?? messageOf(error);
  return new NotTrusted('unreachable', `cannot read ${url}: ${why}`, { cause: error });
}

/** An answer that is not the file asked for. */
export function refusedStatus(url: string, status: number): NotTrusted {
  if (PASSING_STATUSES.includes(status)) {
    return new NotTrusted('unreachable', `${url} answered ${status}`);
  }
  return new NotTrusted('missing', `${url} answered ${status}: the repository does not have it`);
}

/**
 * The pieces of a body, watched: ends with `slow_retrieval` when they come slower than allowed over a
 * whole window.
 */
export async function* watched(
  url: string,
  { body }: HttpResponse,
  { signal, patience }: HttpOptions,
): AsyncGenerator<Uint8Array> {
  let [since, got] = [performance.now(), 0];
  try {
    for await (const piece of body) {
      signal.throwIfAborted();
      got += piece.length;
      const passedMs = performance.now() - since;
      if (passedMs >= patience.slowWindowMs) {
        const rate = (got / passedMs) * 1000;
        if (rate < patience.minBytesPerSecond) throw tooSlow(url, rate);
        [since, got] = [performance.now(), 0];
      }
      yield piece;
    }
  } catch (error) {
    throw unreachable(url, error, signal);
  } finally {
    body.destroy();
  }
}

function tooSlow(url: string, bytesPerSecond: number): NotTrusted {
  const rate = Math.round(bytesPerSecond);
  return new NotTrusted('slow_retrieval', `${url} comes at ${rate} bytes per second`);
}

/**
 * All of a small file, at most `maxBytes`. Null when the repository does not have it (404, or 403 as
 * object stores answer). One try: a refresh as a whole is repeated by whoever asked for it.
 */
export async function readSmall(
  url: string,
  maxBytes: number,
  options: HttpOptions,
): Promise<Uint8Array | null> {
  const response = await httpGet(url, options);
  if (response.status !== 200) {
    response.body.destroy();
    if (response.status === 404 || response.status === 403) return null;
    throw refusedStatus(url, response.status);
  }
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of watched(url, response, options)) {
    length += piece.length;
    if (length > maxBytes) {
      throw new NotTrusted('endless_data', `${url} is longer than ${maxBytes} bytes`);
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** Pause before try `attempt` (1 is the second): doubles, with jitter of half, bounded. */
export function pauseMs(attempt: number, firstMs: number, random: number): number {
  const full = Math.min(MAX_PAUSE_MS, firstMs * 2 ** (attempt - 1));
  return Math.round(full / 2 + (full / 2) * random);
}

/** Waits, or ends at once when aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch((error: unknown) => {
    throw signal.aborted ? signal.reason : error;
  });
}
