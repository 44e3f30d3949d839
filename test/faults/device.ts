import { readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  jobPhases,
  jobRecordSchema,
  type JobPhase,
  type JobRecord,
} from '../../agent/contracts/job.ts';
import { Slots } from '../../agent/deploy/slots/slots.ts';
import type { PhaseHandler } from '../../agent/fleet/jobs/phase-work.ts';
import { openJobService, type JobServiceOptions } from '../../agent/fleet/jobs/service.ts';
import { codeOf } from '../../agent/util/errors.ts';

export const STAND_IN = join(import.meta.dirname, 'stand-in.js');

export type Wrapper = (phase: JobPhase, work: PhaseHandler) => PhaseHandler;

export interface FaultyOptions {
  readonly state: string;
  readonly url: string;
  /** What is put around the work of each phase. */
  readonly wrap?: Wrapper;
  readonly systemMs?: () => number;
  /** Of the children; what is changed later counts for later ones. */
  readonly env?: Record<string, string | undefined>;
  readonly health?: JobServiceOptions['health'];
  readonly selfUpdate?: JobServiceOptions['selfUpdate'];
}

const WAIT_MS = 60_000;

/** All of the device's jobs over a state folder, with the stand-in for fitting, and with faults. */
export async function openFaulty({ state, url, wrap, ...more }: FaultyOptions) {
  const records: JobRecord[] = [];
  const complaints: string[] = [];
  const service = await openJobService({
    deviceId: 'pi-7',
    state,
    repository: url,
    refreshMs: 3_600_000,
    program: STAND_IN,
    env: more.env ?? { ...process.env },
    moment: () => ({
      ts: new Date().toISOString(),
      mono: Math.round(performance.now()),
      bootId: null,
    }),
    deviceClass: async () => ['test'],
    conditions: async () => ({ celsius: null, throttled: [], lockedBy: null }),
    health: more.health ?? null,
    selfUpdate: more.selfUpdate ?? null,
    onSwitched: async () => undefined,
    onBench: async () => undefined,
    applySettings: async () => undefined,
    diagnostics: async () => ({}),
    publish: ({ schema, payload }) => {
      // Decisions on models are told, too.
      if (schema !== 'edgefit/job/1') return;
      records.push(jobRecordSchema.parse(JSON.parse(payload)));
    },
    onKeys: () => undefined,
    log: {
      info: () => undefined,
      warn: (fields, message) => complaints.push(`${message} ${JSON.stringify(fields)}`),
    },
    pollMs: 20,
    retryMs: 100,
    ...(more.systemMs === undefined ? {} : { systemMs: more.systemMs }),
    ...(wrap === undefined
      ? {}
      : {
          wrap: (handlers) => {
            const all = { ...handlers };
            for (const phase of jobPhases) all[phase] = wrap(phase, handlers[phase]);
            return all;
          },
        }),
  });
  service.start();
  return {
    service,
    records,
    complaints,
    /** Resolves when a job has ended. */
    ended: async (jobId: string): Promise<JobRecord> => {
      const deadline = Date.now() + WAIT_MS;
      while (Date.now() < deadline) {
        const last = records.findLast((record) => record.jobId === jobId);
        if (last !== undefined && isOver(last)) return last;
        // oxlint-disable-next-line no-await-in-loop -- polling with a deadline
        await sleep(5);
      }
      throw new Error(`${jobId} did not end: ${complaints.join('; ')} ${chainOf(records, jobId)}`);
    },
  };
}

export function isOver({ status }: JobRecord): boolean {
  return status !== 'QUEUED' && status !== 'IN_PROGRESS';
}

function chainOf(records: readonly JobRecord[], jobId: string): string {
  return records
    .filter((record) => record.jobId === jobId)
    .map(({ status, phase }) => `${status} ${phase}`)
    .join(', ');
}

/** Null when `current` names a complete, verified release or nothing; else what is wrong. */
export async function wrongWithCurrent(state: string, model = 'kws'): Promise<string | null> {
  const slots = new Slots(join(state, 'models'), model);
  try {
    await readlink(slots.currentLink);
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? null : String(error);
  }
  try {
    await slots.verify((await slots.current()) ?? '');
    return null;
  } catch (error) {
    return String(error);
  }
}

const CHANGED: readonly string[] = ['activating', 'probing', 'committing'];

/** Null when the records of a job follow each other as they may; else the step that may not be. */
export function wrongWithChain(records: readonly JobRecord[]): string | null {
  let before: JobRecord | null = null;
  for (const record of records) {
    const step = `${before?.status ?? ''} ${before?.phase ?? ''} -> ${record.status} ${record.phase}`;
    if (before !== null && !mayFollow(before, record)) return step;
    before = record;
  }
  return null;
}

function mayFollow(before: JobRecord, after: JobRecord): boolean {
  // Said again, word for word.
  if (after.seq === before.seq) return JSON.stringify(after) === JSON.stringify(before);
  if (after.seq < before.seq || isOver(before)) return false;
  const [from, to] = [before, after].map(({ phase }) =>
    jobPhases.findIndex((one) => one === phase),
  );
  if (after.phase === before.phase) return true;
  if (after.phase === 'rolling_back') return CHANGED.includes(before.phase);
  return to === (from ?? 0) + 1;
}
