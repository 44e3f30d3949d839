import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { loginSchema, type Role, type SessionInfo } from '../../../contracts/dashboard.ts';
import type { Identity } from '../access/guard.ts';
import { cookieName, tokenOf } from '../access/guard.ts';
import type { PasswordChecker } from '../access/passwords.ts';
import type { Sessions } from '../access/sessions.ts';
import { isSecure, type Site } from '../access/site.ts';
import type { User, Users } from '../access/users.ts';
import { networkOf } from '../access/network.ts';
import { checked } from '../checked.ts';
import { ApiFailure } from '../error.ts';
import { limiter, type Limiter } from '../rate-limits.ts';

/** Attempts in a minute, good ones too: nobody logs in more often. */
export interface LoginLimits {
  readonly perAddress: number;
  /** By one address for one name. */
  readonly perUserAndAddress: number;
  /** For one name by everybody, so that many addresses do not help. */
  readonly perUser: number;
}

export const LOGIN_LIMITS: LoginLimits = { perAddress: 20, perUserAndAddress: 5, perUser: 30 };

export interface SessionParts {
  readonly users: Users;
  readonly sessions: Sessions;
  readonly passwords: PasswordChecker;
  readonly site: Site;
  readonly limits: LoginLimits;
  readonly version: string;
  readonly nowMs: () => number;
  /** Why nobody can act here; null when operators can. */
  readonly readOnly: string | null;
  readonly log: (message: string) => void;
}

/** Whose login this is, as far as a body that was not checked yet says; long ones share a bucket. */
function userNamed({ body }: FastifyRequest): string {
  const user: unknown =
    typeof body === 'object' && body !== null && 'user' in body ? body.user : undefined;
  return typeof user === 'string' ? user.slice(0, 64) : '';
}

function loginLimiter(app: FastifyInstance, limits: LoginLimits): Limiter {
  const keys: readonly (readonly [number, (request: FastifyRequest) => string])[] = [
    [limits.perAddress, ({ ip }) => networkOf(ip)],
    [limits.perUserAndAddress, (request) => `${networkOf(request.ip)} ${userNamed(request)}`],
    [limits.perUser, userNamed],
  ];
  const limiters = keys.map(([max, keyOf]) => limiter(app, max, keyOf, 'logins'));
  return async (request, reply) => {
    // oxlint-disable-next-line no-await-in-loop -- in memory; the next only if this one passed
    for (const check of limiters) await check(request, reply);
  };
}

/** POST /api/login, POST /api/logout, GET /api/session */
export function addSessionRoutes(app: FastifyInstance, parts: SessionParts): void {
  const limit = loginLimiter(app, parts.limits);
  app.post('/api/login', { config: { access: 'open' } }, async (request, reply) => {
    await limit(request, reply);
    const { user, password } = checked(loginSchema, request.body);
    const found = await checkPassword(parts, user, password, request.ip);
    return startSession(parts, found, request, reply);
  });
  app.post('/api/logout', { config: { access: 'viewer' } }, (request, reply) => {
    const token = tokenOf(request, parts.site);
    if (token !== undefined) parts.sessions.end(token);
    const secure = isSecure(request, parts.site);
    return reply.clearCookie(cookieName(secure), { path: '/', secure }).code(204).send();
  });
  app.get('/api/session', { config: { access: 'viewer' } }, ({ identity }) => {
    if (identity === null) throw new ApiFailure('unauthorized', 'log in first');
    return describe(parts, identity);
  });
}

async function checkPassword(
  { users, passwords, log }: SessionParts,
  name: string,
  password: string,
  address: string,
): Promise<User> {
  const found = await users.find(name);
  const isRight = await passwords.verify(password, found?.password ?? null);
  if (found !== null && isRight) return found;
  // The name may be a password that slipped into the wrong field.
  log(`a login failed, from ${address}`);
  throw new ApiFailure('unauthorized', 'the name or the password is wrong');
}

function startSession(
  parts: SessionParts,
  user: User,
  request: FastifyRequest,
  reply: FastifyReply,
): SessionInfo {
  // A session that was there before is over: nobody can have prepared it.
  const old = tokenOf(request, parts.site);
  if (old !== undefined) parts.sessions.end(old);
  const { token, session } = parts.sessions.create(user.name, user.password);
  const secure = isSecure(request, parts.site);
  reply.setCookie(cookieName(secure), token, {
    path: '/',
    httpOnly: true,
    sameSite: 'strict',
    secure,
  });
  const { name, role } = user;
  return describe(parts, { user: name, role, csrf: session.csrf, login: 'password' });
}

function describe({ version, nowMs, readOnly }: SessionParts, identity: Identity): SessionInfo {
  const role: Role = identity.role;
  const { user, csrf, login } = identity;
  return { user, role, csrf, version, now: nowMs(), login, readOnly };
}
