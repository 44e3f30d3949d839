import type { Client, Pool } from 'pg';
import { codeOf, messageOf } from '../../../util/errors.ts';
import { DashboardError } from '../error.ts';
import { CREATE_TABLES } from './postgres-schema.ts';

export interface PostgresPlace {
  /** postgres://USER@HOST/DATABASE */
  readonly url: string;
  /** Counts before one in the URL. */
  readonly password?: string | undefined;
  readonly warn: (message: string) => void;
}

const CONNECTIONS = 4;
const CONNECT_MS = 10_000;
const STATEMENT_MS = 60_000;
/** Two dashboards that start at once must not both make the tables. */
const LOCK = 727_401_924;

/** Whether a URL holds a password, which whoever sees the URL can read. */
export function hasPassword(url: string): boolean {
  const { password, searchParams } = parsedUrl(url);
  return password !== '' || searchParams.has('password');
}

function parsedUrl(text: string): URL {
  try {
    const url = new URL(text);
    if (/^postgres(ql)?:$/.test(url.protocol) && url.href.startsWith(`${url.protocol}//`))
      return url;
  } catch {
    // Told below, without the text: it may hold a password.
  }
  throw new DashboardError('BAD_SETTING', '--postgres: write postgres://USER@HOST/DATABASE');
}

/** The address without what is secret. */
function shown({ hostname, port, pathname }: URL): string {
  return `postgres://${hostname}${port === '' ? '' : `:${port}`}${pathname}`;
}

/** The library takes what the URL says, even nothing, before what stands beside it. */
function withPassword(url: URL, password: string): string {
  const whole = new URL(url);
  whole.password = encodeURIComponent(password);
  return whole.href;
}

const NO_PASSWORD = 'a password is given with --postgres-password-file FILE or PGPASSWORD';

/** Connections to a server that has the tables. Throws DashboardError. */
export async function connectPostgres(options: PostgresPlace): Promise<Pool> {
  const { url, password, warn } = options;
  const parsed = parsedUrl(url);
  const place = shown(parsed);
  const { default: pg } = await import('pg');
  const settings = {
    connectionString: password === undefined ? url : withPassword(parsed, password),
    connectionTimeoutMillis: CONNECT_MS,
    statement_timeout: STATEMENT_MS,
    application_name: 'edgefit-dashboard',
  };
  // Not one of the pool: that forgets, and leaves open, a connection on which it could not log in.
  const client = new pg.Client(settings);
  client.on('error', (error) => warn(`the connection to ${place} is lost: ${messageOf(error)}`));
  try {
    await client.connect().catch((error: unknown) => {
      const isLogin = codeOf(error) === undefined && password === undefined && !hasPassword(url);
      const why = `${messageOf(error)}${isLogin ? `; ${NO_PASSWORD}` : ''}`;
      throw storeError(`PostgreSQL cannot be reached at ${place}: ${why}`, error);
    });
    await makeTables(client).catch((error: unknown) => {
      const why = `the tables cannot be made in ${place}: ${messageOf(error)}`;
      throw storeError(why, error);
    });
  } finally {
    await client.end();
  }
  const pool = new pg.Pool({ ...settings, max: CONNECTIONS });
  // Of a connection that nobody uses right now; the next query makes another.
  pool.on('error', (error) => warn(`a connection to ${place} is lost: ${messageOf(error)}`));
  return pool;
}

const storeError = (why: string, cause: unknown) =>
  new DashboardError('STORE', why, { cause, kind: 'failure' });

/** The end of the connection gives the lock back, whatever happens. */
async function makeTables(client: Client): Promise<void> {
  await client.query('select pg_advisory_lock($1)', [LOCK]);
  await client.query(CREATE_TABLES);
}
