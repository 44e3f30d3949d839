import type { Pool, QueryResultRow } from 'pg';
import { messageOf } from '../../../util/errors.ts';
import { StoreError } from '../error.ts';
import type { Batch, Candidate, Entry, Store } from './store.ts';

/** A leader that is gone is followed after this time; the database's clock counts. */
const LEASE_MS = 12_000;
const ANSWER_MS = 8000;
const CONNECT_MS = 5000;
const MAX_CONNECTIONS = 4;
/** Any number: two controllers that start at once must not both make the tables. */
const SETUP_LOCK = 7_364_510;

const SETUP = `
SELECT pg_advisory_xact_lock(${SETUP_LOCK});
CREATE TABLE IF NOT EXISTS edgefit_leader (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  epoch bigint NOT NULL,
  controller text,
  expires timestamptz NOT NULL
);
INSERT INTO edgefit_leader (epoch, expires) VALUES (0, now()) ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS edgefit_entries (
  key text COLLATE "C" PRIMARY KEY,
  value text NOT NULL
);`;

const LEAD = `
UPDATE edgefit_leader
SET epoch = GREATEST(epoch + 1, $2), controller = $1,
    expires = clock_timestamp() + $3 * interval '1 millisecond'
WHERE expires < clock_timestamp()
RETURNING epoch::text`;

const RENEW = `
UPDATE edgefit_leader SET expires = clock_timestamp() + $2 * interval '1 millisecond'
WHERE epoch = $1
RETURNING epoch::text`;

const RESIGN = 'UPDATE edgefit_leader SET expires = clock_timestamp() WHERE epoch = $1';

/**
 * One statement: a client that is frozen holds no lock, and the epoch is looked at in the transaction
 * that writes. FOR SHARE lets nobody take the lead in between.
 */
const WRITE = `
WITH held AS MATERIALIZED (
  SELECT epoch FROM edgefit_leader WHERE epoch = $1 FOR SHARE
), put AS (
  INSERT INTO edgefit_entries (key, value)
  SELECT key, value FROM unnest($2::text[], $3::text[]) AS given (key, value)
  WHERE EXISTS (SELECT 1 FROM held)
  ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value
), gone AS (
  DELETE FROM edgefit_entries WHERE key = ANY ($4::text[]) AND EXISTS (SELECT 1 FROM held)
)
SELECT count(*)::int AS held FROM held`;

const SCAN = 'SELECT key, value FROM edgefit_entries WHERE key >= $1 AND key < $2 ORDER BY key';

/** A store in PostgreSQL, for controllers that stand by for each other. Throws StoreError. */
export async function openPostgresStore(url: string): Promise<Store> {
  const { Pool: PoolClass } = await import('pg');
  const pool = new PoolClass({
    connectionString: url,
    max: MAX_CONNECTIONS,
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: ANSWER_MS,
    statement_timeout: ANSWER_MS,
    keepAlive: true,
    application_name: 'edgefit controller',
  });
  // An idle connection that ends is replaced when one is needed.
  pool.on('error', () => undefined);
  try {
    await query(pool, SETUP);
  } catch (error) {
    await pool.end();
    throw error;
  }
  return storeOver(pool);
}

function storeOver(pool: Pool): Store {
  return {
    leaseMs: LEASE_MS,
    keepsPast: true,
    lead: async ({ controllerId, minEpoch }: Candidate) => {
      const [row] = await query<{ epoch: string }>(pool, LEAD, [controllerId, minEpoch, LEASE_MS]);
      return row === undefined ? null : Number(row.epoch);
    },
    renew: async (epoch) => (await query(pool, RENEW, [epoch, LEASE_MS])).length > 0,
    resign: async (epoch) => {
      await query(pool, RESIGN, [epoch]);
    },
    get: async (key) => {
      const text = 'SELECT value FROM edgefit_entries WHERE key = $1';
      const [row] = await query<{ value: string }>(pool, text, [key]);
      return row?.value ?? null;
    },
    scan: async function* scan(prefix: string): AsyncIterable<Entry> {
      const range = [prefix, `${prefix}\uffff`];
      for (const row of await query<{ key: string; value: string }>(pool, SCAN, range)) {
        yield [row.key, row.value];
      }
    },
    write: async (epoch: number, { put, remove }: Batch) => {
      const keys = put.map(([key]) => key);
      const values = put.map(([, value]) => value);
      const [row] = await query<{ held: number }>(pool, WRITE, [epoch, keys, values, remove]);
      if (row?.held !== 1) {
        throw new StoreError('FENCED', `another controller leads: epoch ${epoch} is over`);
      }
    },
    close: () => pool.end(),
  };
}

async function query<Row extends QueryResultRow>(
  pool: Pool,
  text: string,
  values?: readonly unknown[],
): Promise<readonly Row[]> {
  try {
    const result = await pool.query<Row>(text, values === undefined ? undefined : [...values]);
    return result.rows ?? [];
  } catch (error) {
    throw new StoreError('UNAVAILABLE', `PostgreSQL: ${messageOf(error)}`, error);
  }
}
