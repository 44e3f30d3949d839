import { benchSchema, type BenchReport } from '../../../contracts/bench.ts';
import type { BenchLine } from '../../../contracts/dashboard.ts';
import { parseTopic } from '../../../fleet/protocol/topics.ts';
import type { BenchArrival } from '../ports.ts';
import { readJson } from './controllers.ts';

/** Larger reports are not kept: no device of ours sends them. */
const MAX_REPORT_BYTES = 128 * 1024;

/** A report that has arrived, or null for what is none. */
export function readBench(topic: string, payload: Uint8Array, nowMs: number): BenchArrival | null {
  const parsed = parseTopic(topic);
  if (parsed?.kind !== 'bench' || payload.length > MAX_REPORT_BYTES) return null;
  const report = readJson(benchSchema, payload);
  const { device = '', bench = '' } = parsed.ids;
  if (report === null) return null;
  return { line: benchLine(device, bench, report, nowMs), report };
}

function benchLine(
  deviceId: string,
  benchId: string,
  { model, candidates, chosen }: BenchReport,
  nowMs: number,
): BenchLine {
  const row = candidates.find(({ id }) => id === chosen);
  const { name, sha256, format } = model;
  return {
    deviceId,
    benchId,
    ts: new Date(nowMs).toISOString(),
    model: { name, sha256, format },
    chosen:
      row === undefined
        ? null
        : { id: row.id, precision: row.precision, p90Ms: row.latencyMs?.p90 ?? null },
    candidates: candidates.length,
  };
}
