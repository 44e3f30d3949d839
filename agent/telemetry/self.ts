import { readFile } from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { jobsMetricOf } from '../contracts/metrics.ts';
import { jobOutcomes, type JobOutcome } from '../contracts/job.ts';
import { slowly } from '../hardware/slowly.ts';
import type { Values } from './changes.ts';

/** What the agent counts elsewhere. */
export interface AgentCounts {
  /** Null where there is no broker. */
  readonly outbox: {
    readonly messages: number;
    readonly bytes: number;
    readonly dropped: number;
    readonly refused: number;
  } | null;
  readonly reconnects: number | null;
  readonly offlineSeconds: number | null;
  readonly refusedMessages: number | null;
  /** Jobs that have ended; null: this agent takes none. */
  readonly jobs: ReadonlyMap<JobOutcome, number> | null;
}

export interface SelfSampler {
  /** Never rejects: what cannot be read is null. */
  read(counts: AgentCounts): Promise<Values>;
  close(): void;
}

/** A timer that fires more often would tell more, and keep an idle processor awake. */
const LOOP_RESOLUTION_MS = 100;
const NANOSECONDS_PER_MS = 1e6;
const PSS_EVERY_MS = 60_000;

/** Memory and event loop of this process. */
export function openSelfSampler(): SelfSampler {
  const loop = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  loop.enable();
  const pss = slowly(readPss, PSS_EVERY_MS);
  return {
    read: async (counts) => {
      // It counts from one firing of its timer to the next, the pause between them included.
      const p99Ms = loop.percentile(99) / NANOSECONDS_PER_MS - LOOP_RESOLUTION_MS;
      loop.reset();
      return {
        rssBytes: process.memoryUsage.rss(),
        pssBytes: await pss(),
        loopDelayP99Ms: Math.max(0, p99Ms),
        ...valuesOf(counts),
      };
    },
    close: () => {
      loop.disable();
    },
  };
}

function valuesOf({ outbox, reconnects, offlineSeconds, refusedMessages, jobs }: AgentCounts) {
  return {
    outboxMessages: outbox?.messages ?? null,
    outboxBytes: outbox?.bytes ?? null,
    outboxDropped: outbox?.dropped ?? null,
    outboxRefused: outbox?.refused ?? null,
    reconnects,
    offlineSeconds,
    refusedMessages,
    ...Object.fromEntries(
      jobOutcomes.map((outcome) => [
        jobsMetricOf(outcome),
        jobs === null ? null : (jobs.get(outcome) ?? 0),
      ]),
    ),
  };
}

/** The kernel adds up every mapping for this: a millisecond. Null where it does not tell. */
async function readPss(): Promise<number | null> {
  try {
    const text = await readFile('/proc/self/smaps_rollup', 'utf8');
    const [, kib] = /^Pss:\s+(\d+) kB$/m.exec(text) ?? [];
    return kib === undefined ? null : Number(kib) * 1024;
  } catch {
    // Kernels before 4.14, and some that are hardened, have no such file.
    return null;
  }
}
