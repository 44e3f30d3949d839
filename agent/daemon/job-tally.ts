import { jobOutcomes, jobTypes, type JobOutcome, type JobRecord } from '../contracts/job.ts';

/** Phases that Prometheus has not been told of yet; more than this are not kept. */
const MAX_PHASES = 1000;

export interface PhaseTime {
  readonly phase: string;
  readonly seconds: number;
}

/**
 * Counts jobs that end while the agent runs. A record is told again with every connection, so only one
 * that was seen open before counts.
 */
export class JobTally {
  readonly #open = new Set<string>();
  readonly #ended = new Map<string, { type: string; outcome: JobOutcome; count: number }>();
  readonly #lastSuccess = new Map<string, number>();
  #phases: PhaseTime[] = [];

  /** Takes a record as it is published. */
  add({ jobId, jobType, outcome, status, phases, ts }: JobRecord): void {
    if (outcome === null) {
      this.#open.add(jobId);
      return;
    }
    if (!this.#open.delete(jobId)) return;
    const key = `${jobType} ${outcome}`;
    const { count } = this.#ended.get(key) ?? { count: 0 };
    this.#ended.set(key, { type: jobType, outcome, count: count + 1 });
    if (status === 'SUCCEEDED') this.#lastSuccess.set(jobType, Date.parse(ts) / 1000);
    for (const [phase, ms] of Object.entries(phases)) {
      this.#phases = [...this.#phases.slice(1 - MAX_PHASES), { phase, seconds: ms / 1000 }];
    }
  }

  /** Also what has not happened yet: a counter that begins at 1 is no increase. */
  ended(): readonly {
    readonly type: string;
    readonly outcome: JobOutcome;
    readonly count: number;
  }[] {
    const none = jobTypes.flatMap((type) =>
      jobOutcomes.map((outcome) => ({ type, outcome, count: 0 })),
    );
    const unseen = none.filter(({ type, outcome }) => !this.#ended.has(`${type} ${outcome}`));
    return [...this.#ended.values(), ...unseen];
  }

  byOutcome(): ReadonlyMap<JobOutcome, number> {
    const sums = new Map<JobOutcome, number>();
    for (const { outcome, count } of this.#ended.values()) {
      sums.set(outcome, (sums.get(outcome) ?? 0) + count);
    }
    return sums;
  }

  /** Seconds since 1970, by type of job. */
  lastSuccess(): ReadonlyMap<string, number> {
    return this.#lastSuccess;
  }

  /** Times of phases since the last call. */
  takePhases(): readonly PhaseTime[] {
    const taken = this.#phases;
    this.#phases = [];
    return taken;
  }
}
