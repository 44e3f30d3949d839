import type { FastifyRequest } from 'fastify';
import { DashboardError } from '../error.ts';

/** Where the server listens, and how browsers call it. */
export interface SiteSettings {
  readonly host: string;
  readonly port: number;
  readonly isTls: boolean;
  /** Where it is not what it listens on: behind a proxy, or under a name. */
  readonly publicUrl: string | null;
  /** Passwords may go over a network in the clear: somebody has said so. */
  readonly isInsecure: boolean;
}

export interface Site {
  /** Names by which it may be called; null: any. */
  readonly hosts: ReadonlySet<string> | null;
  /** It listens to this machine alone. */
  readonly isLocal: boolean;
  /** Of the page, where --public-url says it. */
  readonly origin: string | null;
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i;
const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'];

export const isLoopback = (host: string): boolean => LOOPBACK.test(host);

function publicOrigin(text: string): URL {
  try {
    const url = new URL(text);
    if (/^https?:$/.test(url.protocol) && url.pathname === '/' && url.search === '') return url;
  } catch {
    // Told below.
  }
  const why = `${JSON.stringify(text)} is not the address of a page`;
  throw new DashboardError('BAD_SETTING', `--public-url: ${why}: write https://HOST[:PORT]`);
}

/** Throws DashboardError BAD_SETTING, also where passwords would be seen on the network. */
export function siteOf({ host, isTls, publicUrl, isInsecure }: SiteSettings): Site {
  const isLocal = isLoopback(host);
  if (!isLocal && !isTls && !isInsecure) {
    const why = `--listen ${host}: without TLS everybody on the network could read passwords`;
    const fix =
      'give --tls-cert and --tls-key, stay on 127.0.0.1 behind a proxy, or say --insecure';
    throw new DashboardError('BAD_SETTING', `${why}: ${fix}`);
  }
  const url = publicUrl === null ? null : publicOrigin(publicUrl);
  const names = [
    ...(isLocal ? LOOPBACK_NAMES : []),
    ...(isLocal ? [host.toLowerCase()] : []),
    ...(url === null ? [] : [url.hostname]),
  ];
  return {
    hosts: names.length === 0 ? null : new Set(names),
    isLocal,
    origin: url?.origin ?? null,
  };
}

/** Whether the browser came over TLS, also where a proxy ends it. */
export function isSecure(request: FastifyRequest, { origin }: Site): boolean {
  return request.protocol === 'https' || (origin?.startsWith('https:') ?? false);
}

/**
 * A page of elsewhere whose name was made to point here (DNS rebinding) calls it by that name. Its
 * script may say what it likes in X-Forwarded-Host, and comes from the address of a local proxy, so
 * there the name that the browser itself writes counts too.
 */
export function isCalledRightly({ host, headers }: FastifyRequest, site: Site): boolean {
  const { hosts, isLocal } = site;
  const called = isLocal ? [host, headers.host ?? ''] : [host];
  return hosts === null || called.every((name) => hosts.has(withoutPort(name)));
}

const withoutPort = (host: string): string => host.replace(/:\d+$/, '').toLowerCase();

/** Browsers say which page a request comes from; programs that are none may leave it out. */
export function isFromOurPage(request: FastifyRequest, site: Site): boolean {
  const { origin, 'sec-fetch-site': from } = request.headers;
  const ours = [`${request.protocol}://${request.host}`, site.origin];
  const isOurs = origin === undefined || ours.includes(origin);
  return isOurs && (from === undefined || from === 'same-origin' || from === 'none');
}
