import { setTimeout as sleep } from 'node:timers/promises';
import type { JobDocument, JobPhase, JobRecord } from '../../contracts/job.ts';
import { codeOf, messageOf } from '../../util/errors.ts';
import { Lane } from '../../util/lane.ts';
import { act } from './act.ts';
import {
  afterPhase,
  isExhausted,
  isTerminal,
  openEntry,
  withFindings,
  type Entry,
  type Reason,
} from './entry.ts';
import { JournalError } from './journal.ts';
import { CANCELED, Ledger, SUPERSEDED, type LedgerOptions } from './ledger.ts';
import { PhaseError, type PhaseHandler } from './phase-work.ts';
import { canCancel } from './phases.ts';

export interface RunnerOptions extends LedgerOptions {
  readonly deviceId: string;
  readonly handlers: Readonly<Record<JobPhase, PhaseHandler>>;
  /** Pause before a job goes on whose journal could not be written. */
  readonly retryMs?: number;
}

const RETRY_MS = 10_000;

/** Finished jobs that are reported with every connection. */
const MAX_REPORTED = 20;

const STOPPED = 'agent_stopped';

/** Phases in which a job disturbs nobody; beyond them jobs come one at a time. */
const FREE: readonly JobPhase[] = ['accepted', 'waiting'];

/** A diagnosis is wanted most while another job is at work, and only reads. */
function isFree({ document }: Entry, phase: JobPhase): boolean {
  return FREE.includes(phase) || document.jobType === 'collect';
}

interface Task {
  readonly cancel: AbortController;
  readonly done: Promise<void>;
}

/**
 * Works through jobs. They wait side by side, so that one whose window opens at night holds up nobody;
 * what touches the device is done one job at a time. The next phase is on the disk before it is acted
 * upon; each phase has a deadline that the device itself enforces; on start every open job goes on or
 * fails, and none is left.
 */
export class JobRunner {
  readonly #options: RunnerOptions;
  readonly #ledger: Ledger;
  readonly #stop = new AbortController();
  readonly #tasks = new Map<string, Task>();
  readonly #lane = new Lane();
  #others: Promise<unknown> = Promise.resolve();

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#ledger = new Ledger(options);
  }

  /** Takes up what a former run left open. */
  start(): void {
    for (const entry of this.#options.journal.all()) {
      if (!isTerminal(entry)) this.#begin(entry);
    }
  }

  /** Ends the phases that run; the jobs go on with the next start. */
  async stop(): Promise<void> {
    this.#stop.abort(new PhaseError(STOPPED, 'the agent stops'));
    await this.idle();
    await this.#others;
  }

  /**
   * Does something beside which no job may touch the device: it waits for those that do, and jobs that
   * come wait for it. The signal ends with the runner. Rejects with what the work throws.
   */
  async alone<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const leave = await this.#lane.enter();
    const { signal } = this.#stop;
    try {
      signal.throwIfAborted();
      const working = work(signal);
      this.#others = working.catch(() => undefined);
      return await working;
    } finally {
      leave();
    }
  }

  /** Resolves when no job is open. For tests and for draining. */
  async idle(): Promise<void> {
    while (this.#tasks.size > 0) {
      // oxlint-disable-next-line no-await-in-loop -- a job may bring another
      await Promise.all([...this.#tasks.values()].map(({ done }) => done));
    }
  }

  /**
   * Takes a verified document. Known ones are answered with their last record; the same id with other
   * content is refused (`id_reuse`) without touching the known job. Resolves when it is in the journal.
   */
  async submit(document: JobDocument, digest: string): Promise<JobRecord> {
    const { journal, deviceId, moment, publish } = this.#options;
    const known = journal.get(document.jobId);
    if (known !== undefined) {
      if (known.digest !== digest) return this.#refuseReuse(known, digest);
      publish(known.record);
      return known.record;
    }
    const order = journal.nextOrder();
    const entry = await journal.write(openEntry(deviceId, document, digest, order, moment()));
    publish(entry.record);
    await this.#supersede(entry);
    this.#begin(entry);
    return entry.record;
  }

  /** Cancels a job that has not begun to change the device; false when it is too late. */
  async cancel(jobId: string, code = CANCELED): Promise<boolean> {
    const entry = this.#options.journal.get(jobId);
    if (entry === undefined || isTerminal(entry)) return false;
    if (!canCancel(entry.phase)) return false;
    this.#tasks.get(jobId)?.cancel.abort(new PhaseError(code, 'taken back'));
    return true;
  }

  /** The last record of every job that is known. */
  records(): readonly JobRecord[] {
    return this.#options.journal.all().map(({ record }) => record);
  }

  /** The last record of a job; null when it is not known. */
  recordOf(jobId: string): JobRecord | null {
    return this.#options.journal.get(jobId)?.record ?? null;
  }

  isKnown(jobId: string): boolean {
    return this.#options.journal.get(jobId) !== undefined;
  }

  /** Says again how a job stands, if exactly this document was taken before; else false. */
  repeat(jobId: string, digest: string | null): boolean {
    const entry = this.#options.journal.get(jobId);
    if (entry === undefined || entry.digest !== digest) return false;
    this.#options.publish(entry.record);
    return true;
  }

  /** Records for whoever has just connected: jobs that are open or whose end nobody has archived. */
  unarchived(): readonly JobRecord[] {
    const entries = this.#options.journal.all().filter(({ archived }) => !archived);
    const open = entries.filter((entry) => !isTerminal(entry));
    const finished = entries.filter(isTerminal).slice(-MAX_REPORTED);
    return [...finished, ...open].map(({ record }) => record);
  }

  /** The document is gone: an open job is taken back if it may be, a finished one is archived. */
  async clear(jobId: string): Promise<boolean> {
    const { journal } = this.#options;
    const entry = journal.get(jobId);
    if (entry === undefined || entry.archived) return false;
    if (isTerminal(entry)) await journal.write({ ...entry, archived: true });
    else await this.cancel(jobId);
    return isTerminal(entry);
  }

  #refuseReuse(known: Entry, digest: string): JobRecord {
    const reason = {
      code: 'id_reuse',
      text: `job ${known.document.jobId} is known with other content`,
    };
    const record: JobRecord = {
      ...known.record,
      ...this.#options.moment(),
      digest,
      status: 'REJECTED',
      reason,
    };
    return record;
  }

  /** A newer deployment of the same model takes the place of one that has not begun to change it. */
  async #supersede(newer: Entry): Promise<void> {
    const { document } = newer;
    if (document.jobType !== 'deploy') return;
    for (const entry of this.#options.journal.all()) {
      const other = entry.document;
      const same = other.jobType === 'deploy' && other.model.name === document.model.name;
      if (!same || other.jobId === document.jobId || isTerminal(entry)) continue;
      if (other.model.releaseCounter > document.model.releaseCounter) continue;
      // oxlint-disable-next-line no-await-in-loop -- at most one or two
      await this.cancel(other.jobId, SUPERSEDED);
    }
  }

  #begin(entry: Entry): void {
    const { jobId } = entry.document;
    if (this.#stop.signal.aborted || this.#tasks.has(jobId)) return;
    const cancel = new AbortController();
    const done = this.#work(entry, cancel.signal).finally(() => {
      this.#tasks.delete(jobId);
    });
    this.#tasks.set(jobId, { cancel, done });
  }

  /** Never rejects. A job whose journal cannot be written goes on when it can: the disk was full. */
  async #work(start: Entry, canceled: AbortSignal): Promise<void> {
    const { journal, retryMs = RETRY_MS } = this.#options;
    let entry: Entry | undefined = start;
    while (entry !== undefined && !isTerminal(entry)) {
      // oxlint-disable-next-line no-await-in-loop -- until it could be written
      if (await this.#try(entry, canceled)) return;
      const { signal } = this.#stop;
      // oxlint-disable-next-line no-await-in-loop -- see above
      await sleep(retryMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      entry = journal.get(start.document.jobId);
    }
  }

  /** False when the journal could not be written. */
  async #try(entry: Entry, canceled: AbortSignal): Promise<boolean> {
    const { jobId } = entry.document;
    const leave = { lane: () => undefined as void };
    try {
      await this.#run(entry, canceled, async () => {
        leave.lane = await this.#lane.enter();
      });
      return true;
    } catch (error) {
      this.#options.onError?.(error, jobId);
      if (error instanceof JournalError && error.code === 'WRITE') return false;
      await this.#ledger.endLoop(jobId, error).catch((second: unknown) => {
        this.#options.onError?.(second, jobId);
      });
      return true;
    } finally {
      leave.lane();
    }
  }

  async #run(start: Entry, canceled: AbortSignal, enterLane: () => Promise<void>): Promise<void> {
    let entry = start;
    let phase: JobPhase | null = start.phase;
    let inLane = false;
    while (phase !== null && !isTerminal(entry)) {
      if (!inLane && !isFree(entry, phase)) {
        inLane = true;
        // oxlint-disable-next-line no-await-in-loop -- once per job
        await enterLane();
      }
      if (this.#stop.signal.aborted) return;
      // oxlint-disable-next-line no-await-in-loop -- phases follow each other
      const next = await this.#phase(entry, phase, canceled);
      if (next === null) return;
      entry = next.entry;
      phase = next.phase;
    }
  }

  /** One phase: on the disk, published, done. Null when the daemon stops in the middle. */
  async #phase(
    before: Entry,
    phase: JobPhase,
    canceled: AbortSignal,
  ): Promise<{ readonly entry: Entry; readonly phase: JobPhase | null } | null> {
    if (before.phase === phase && isExhausted(before)) {
      const text = `${phase} has begun ${before.attempts[phase] ?? 0} times and never ended`;
      return this.#ledger.fail(before, { code: 'attempts_exhausted', text });
    }
    const entry = await this.#ledger.begin(before, phase);
    const began = performance.now();
    try {
      const {
        data = {},
        result = null,
        done,
      } = await act(entry, this.#options.handlers[entry.phase], {
        stop: this.#stop.signal,
        canceled,
        onProgress: this.#ledger.progressOf(entry),
      });
      const found = withFindings(entry, data, result, performance.now() - began);
      if (done !== undefined)
        return { entry: await this.#ledger.endWell(found, done), phase: null };
      const next = afterPhase(found);
      if (next !== null) return { entry: found, phase: next };
      return { entry: await this.#ledger.finish(found), phase: null };
    } catch (error) {
      if (this.#stop.signal.aborted) return null;
      return this.#ledger.fail(
        withFindings(entry, {}, null, performance.now() - began),
        reasonOf(error),
      );
    }
  }
}

function reasonOf(error: unknown): Reason {
  return { code: codeOf(error) ?? 'unexpected', text: messageOf(error).split('\n')[0] ?? '' };
}
