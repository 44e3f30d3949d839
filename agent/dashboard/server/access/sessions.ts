import { createHash, randomBytes } from 'node:crypto';

/** How long a login lasts: unused, and at all. An open event stream is use. */
export interface SessionLimits {
  readonly idleMs: number;
  readonly totalMs: number;
}

export interface Session {
  readonly user: string;
  readonly csrf: string;
  /** The hash of the password it was made with: with another password it is over. */
  readonly proof: string;
  readonly startedMs: number;
  usedMs: number;
}

const TOKEN_BYTES = 32;
const MAX_PER_USER = 20;
const MAX_SESSIONS = 2000;

const randomToken = (): string => randomBytes(TOKEN_BYTES).toString('base64url');
/** Memory holds no token that could be used: neither does a dump of it. */
const nameOf = (token: string): string => createHash('sha256').update(token).digest('base64');

/** Sessions in memory; a restart logs everybody out. */
export class Sessions {
  readonly #limits: SessionLimits;
  readonly #nowMs: () => number;
  /** In the order in which they were made. */
  readonly #sessions = new Map<string, Session>();

  constructor(limits: SessionLimits, nowMs: () => number) {
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  /** A new session and the token that names it. The oldest of too many goes. */
  create(user: string, proof: string): { readonly token: string; readonly session: Session } {
    const now = this.#nowMs();
    for (const [name, session] of this.#sessions) {
      if (this.#isOver(session, now)) this.#sessions.delete(name);
    }
    const own = [...this.#sessions].filter(([, session]) => session.user === user);
    const [oldestOwn] = own;
    if (own.length >= MAX_PER_USER && oldestOwn !== undefined) this.#sessions.delete(oldestOwn[0]);
    const [oldest] = this.#sessions.keys();
    if (this.#sessions.size >= MAX_SESSIONS && oldest !== undefined) this.#sessions.delete(oldest);
    const token = randomToken();
    const session = { user, proof, csrf: randomToken(), startedMs: now, usedMs: now };
    this.#sessions.set(nameOf(token), session);
    return { token, session };
  }

  /** The session of a token, which counts as used now; null when there is none any more. */
  use(token: string): Session | null {
    const name = nameOf(token);
    const session = this.#sessions.get(name);
    if (session === undefined) return null;
    const now = this.#nowMs();
    if (this.#isOver(session, now)) {
      this.#sessions.delete(name);
      return null;
    }
    session.usedMs = now;
    return session;
  }

  end(token: string): void {
    this.#sessions.delete(nameOf(token));
  }

  #isOver({ startedMs, usedMs }: Session, now: number): boolean {
    return now - usedMs > this.#limits.idleMs || now - startedMs > this.#limits.totalMs;
  }
}
