import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Role } from '../../../contracts/dashboard.ts';
import { ApiFailure } from '../error.ts';
import type { ProxyLogin } from './proxy.ts';
import type { Session, Sessions } from './sessions.ts';
import { isCalledRightly, isFromOurPage, isSecure, type Site } from './site.ts';
import type { Users } from './users.ts';

/** Who a request is from. */
export interface Identity {
  readonly user: string;
  readonly role: Role;
  readonly csrf: string;
  readonly login: 'password' | 'proxy';
}

/** Who may use a route: anybody, everybody who is logged in, or operators. */
export type Access = 'open' | Role;

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
  interface FastifyRequest {
    identity: Identity | null;
  }
}

export interface GuardParts {
  readonly users: Users;
  readonly sessions: Sessions;
  readonly proxy: ProxyLogin | null;
  readonly site: Site;
}

/**
 * `__Host-` ties the cookie to this host and to TLS (RFC 6265bis, section 4.1.3.2); browsers refuse it
 * without TLS.
 */
export const cookieName = (secure: boolean): string =>
  secure ? '__Host-edgefit' : 'edgefit-session';

export const tokenOf = (request: FastifyRequest, site: Site): string | undefined =>
  request.cookies[cookieName(isSecure(request, site))];

const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS'];

/** Finds out who asks, and refuses what he may not do. Every route has to say who may use it. */
export class Guard {
  readonly #parts: GuardParts;
  /** Of tokens for those whom the proxy names: they have no session that could hold one. */
  readonly #secret = randomBytes(32);

  constructor(parts: GuardParts) {
    this.#parts = parts;
  }

  /** Adds the checks to a server, before its routes. */
  protect(app: FastifyInstance): void {
    app.decorateRequest('identity', null);
    app.addHook('onRoute', ({ config, url }) => {
      if (config?.access === undefined) throw new Error(`${url} does not say who may use it`);
    });
    app.addHook('onRequest', (request) => this.#check(request));
  }

  async #check(request: FastifyRequest): Promise<void> {
    const { site } = this.#parts;
    if (!isCalledRightly(request, site)) {
      throw new ApiFailure('forbidden', 'it is not called by this name: see --public-url');
    }
    const { access } = request.routeOptions.config;
    if (access === undefined) return;
    const isSafe = SAFE_METHODS.includes(request.method);
    if (!isSafe && !isFromOurPage(request, site)) {
      throw new ApiFailure('csrf', 'the request comes from another page');
    }
    if (access === 'open') return;
    request.identity = await this.identify(request);
    const { identity } = request;
    if (identity === null) throw new ApiFailure('unauthorized', 'log in first');
    if (access === 'operator' && identity.role !== 'operator') {
      throw new ApiFailure('forbidden', `${identity.user} may look, but not act`);
    }
    if (!isSafe) checkToken(request, identity);
  }

  /** Who asks, by the proxy's header or the cookie; null for nobody. Counts as use of the session. */
  async identify(request: FastifyRequest): Promise<Identity | null> {
    const { proxy, sessions, site } = this.#parts;
    const named = proxy?.identify(request.headers, request.socket.remoteAddress) ?? null;
    if (named !== null) {
      const csrf = createHmac('sha256', this.#secret).update(named.user).digest('base64url');
      return { ...named, csrf, login: 'proxy' };
    }
    const token = tokenOf(request, site);
    const session = token === undefined ? null : sessions.use(token);
    if (token === undefined || session === null) return null;
    const identity = await this.#identityOf(session);
    if (identity === null) sessions.end(token);
    return identity;
  }

  /** The session's user as he is now: removed, of another role, or with another password. */
  async #identityOf({ user, proof, csrf }: Session): Promise<Identity | null> {
    const found = await this.#parts.users.find(user);
    if (found === null || found.password !== proof) return null;
    return { user, role: found.role, csrf, login: 'password' };
  }
}

function checkToken({ headers }: FastifyRequest, { csrf }: Identity): void {
  const given = Buffer.from(String(headers['x-csrf-token'] ?? ''));
  const wanted = Buffer.from(csrf);
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
    throw new ApiFailure('csrf', 'the header x-csrf-token is missing or old: load the page again');
  }
}
