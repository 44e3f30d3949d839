/**
 * Tables of the history in PostgreSQL, in a schema of their own. Values as they came and rolled up to
 * five minutes; sums and counts, so that roll-ups can be added to. Documents are text: JSON may hold
 * what jsonb cannot (\u0000).
 */
export const SCHEMA = 'edgefit_dashboard';

export const CREATE_TABLES = `
create schema if not exists ${SCHEMA};
create table if not exists ${SCHEMA}.raw_values (
  device text not null, metric text not null, ts bigint not null, value double precision);
create index if not exists raw_values_by_device on ${SCHEMA}.raw_values (device, metric, ts);
create index if not exists raw_values_by_time on ${SCHEMA}.raw_values (ts);
create table if not exists ${SCHEMA}.rolled_values (
  device text not null, metric text not null, ts bigint not null,
  total double precision, n integer not null, low double precision, high double precision,
  primary key (device, metric, ts));
create index if not exists rolled_values_by_time on ${SCHEMA}.rolled_values (ts);
create table if not exists ${SCHEMA}.jobs (
  device text not null, job text not null, seq bigint not null, ts bigint not null,
  record text not null, primary key (device, job));
create table if not exists ${SCHEMA}.benches (
  device text not null, bench text not null, ts bigint not null, line text not null,
  report text not null, primary key (device, bench));
create index if not exists benches_by_time on ${SCHEMA}.benches (ts);
`;

/** $1: before when, $2: width of a step. In one statement: a crash loses nothing and doubles nothing. */
export const ROLL_UP = `
with gone as (delete from ${SCHEMA}.raw_values where ts < $1 returning device, metric, ts, value)
insert into ${SCHEMA}.rolled_values as kept (device, metric, ts, total, n, low, high)
select device, metric, ts / $2 * $2, sum(value), count(value), min(value), max(value)
from gone group by device, metric, ts / $2
on conflict (device, metric, ts) do update set
  total = coalesce(kept.total, 0) + coalesce(excluded.total, 0), n = kept.n + excluded.n,
  low = least(kept.low, excluded.low), high = greatest(kept.high, excluded.high)`;

export const READ_OLDEST = `select min(ts) as ts from ${SCHEMA}.raw_values`;

/** $1: device, $2: metrics, $3 and $4: from and to, $5: width of a step, $6: half a rolled one. */
export const READ_STEPS = `
select metric, round(avg(ts)) as ts, sum(total) as total, sum(n) as n, min(low) as low,
  max(high) as high
from (
  select metric, ts, value as total, (value is not null)::int as n, value as low, value as high
  from ${SCHEMA}.raw_values where device = $1 and metric = any($2) and ts between $3 and $4
  union all
  select metric, ts + $6, total, n, low, high
  from ${SCHEMA}.rolled_values
  where device = $1 and metric = any($2) and ts + $6 between $3 and $4
) as found
group by metric, floor((ts - $3) / $5::double precision)
order by metric, 2`;

/** $1: device, $2: since when. */
export const READ_LATEST = `
select distinct on (metric) metric, ts, value from ${SCHEMA}.raw_values
where device = $1 and ts > $2 order by metric, ts desc`;

/** $1: how many, $2 to $4: time, device and report to go on from, or null. */
export const READ_ALL_BENCHES = `
select line as text, ts, device, bench from ${SCHEMA}.benches
where $2::bigint is null or (ts, device, bench) < ($2, $3::text, $4::text)
order by ts desc, device desc, bench desc limit $1`;

export const INSERT_VALUES = `
insert into ${SCHEMA}.raw_values (device, metric, ts, value)
select * from unnest($1::text[], $2::text[], $3::bigint[], $4::double precision[])`;

export const UPSERT_JOB = `
insert into ${SCHEMA}.jobs as kept (device, job, seq, ts, record) values ($1, $2, $3, $4, $5)
on conflict (device, job) do update
set seq = excluded.seq, ts = excluded.ts, record = excluded.record where kept.seq < excluded.seq`;

export const UPSERT_BENCH = `
insert into ${SCHEMA}.benches (device, bench, ts, line, report) values ($1, $2, $3, $4, $5)
on conflict (device, bench) do update
set ts = excluded.ts, line = excluded.line, report = excluded.report`;

/** All but the newest of a device; $1: device, $2: how many stay. */
export const dropOld = (table: 'jobs' | 'benches', id: 'job' | 'bench'): string => `
delete from ${SCHEMA}.${table} where device = $1 and ${id} not in (
  select ${id} from ${SCHEMA}.${table} where device = $1 order by ts desc limit $2)`;
