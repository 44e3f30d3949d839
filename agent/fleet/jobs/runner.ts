import { setTimeout as sleep } from 'node:timers/promises';
import type { JobDocument, JobPhase, JobRecord, JobStatus } from '../../contracts/job.ts';
import { AgentError, codeOf, messageOf } from '../../util/errors.ts';
import {
  afterPhase,
  beginPhase,
  ended,
  failed,
  isExhausted,
  isTerminal,
  openEntry,
  withFindings,
  withProgress,
  type Entry,
  type Moment,
  type Reason,
} from './entry.ts';
import { JournalError, type Journal } from './journal.ts';
import { Lane } from '../../util/lane.ts';
import { canCancel, LIMIT_SECONDS } from './phases.ts';

/** What a phase gets to work with. */
export interface PhaseInput {
  readonly document: JobDocument;
  /** What earlier phases found out. */
  readonly data: Readonly<Record<string, unknown>>;
  /** Why the job is on its way back; null otherwise. */
  readonly failure: Reason | null;
  readonly attempt: number;
  /** Ends with the phase's deadline, a cancellation, or the daemon. */
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, of: number) => void;
}

export interface PhaseFindings {
  /** For later phases; kept in the journal. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** For the operator; published. */
  readonly result?: Readonly<Record<string, unknown>>;
  /** Ends the job here, well: nothing more is to be done. */
  readonly done?: 'noop_already_installed' | 'dry_run_ok';
}

/** Does the work of a phase. Whatever it throws is a failure of the phase with that code. */
export type PhaseHandler = (input: PhaseInput) => Promise<PhaseFindings>;

/** A failure that a phase names itself. */
export class PhaseError extends AgentError {
  override readonly name = 'PhaseError';

  constructor(code: string, message: string, options: { readonly cause?: unknown } = {}) {
    super(code, message, { ...options, kind: 'failure' });
  }
}

export interface RunnerOptions {
  readonly deviceId: string;
  readonly journal: Journal;
  readonly handlers: Readonly<Record<JobPhase, PhaseHandler>>;
  /** Says how a job stands. It must not fail: reporting never fails a job. */
  readonly publish: (record: JobRecord) => void;
  readonly moment: () => Moment;
  /** A finished job is about to be forgotten: from now on nobody else refuses its document. */
  readonly onForget?: (document: JobDocument) => Promise<void>;
  readonly onError?: (error: unknown, jobId: string) => void;
  /** Pause before a job goes on whose journal could not be written. */
  readonly retryMs?: number;
}

const PROGRESS_MS = 1000;
const RETRY_MS = 10_000;
/** After its deadline a handler gets this long to notice; then it is left behind. */
const GRACE_MS = 2000;

/** Finished jobs that are reported with every connection. */
const MAX_REPORTED = 20;

const STOPPED = 'agent_stopped';
const CANCELED = 'canceled';
const SUPERSEDED = 'superseded';

/** Phases in which a job disturbs nobody; beyond them jobs come one at a time. */
const FREE: readonly JobPhase[] = ['accepted', 'waiting'];

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
  readonly #stop = new AbortController();
  readonly #tasks = new Map<string, Task>();
  readonly #lane = new Lane();
  #others: Promise<unknown> = Promise.resolve();

  constructor(options: RunnerOptions) {
    this.#options = options;
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
      await this.#endLoop(jobId, error).catch((second: unknown) => {
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
      if (!inLane && !FREE.includes(phase)) {
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
      return this.#fail(before, { code: 'attempts_exhausted', text });
    }
    const newest = this.#newest(before);
    const entry = await this.#write(beginPhase(newest, phase, this.#options.moment()));
    const began = performance.now();
    try {
      const { data = {}, result = null, done } = await this.#act(entry, canceled);
      const found = withFindings(entry, data, result, performance.now() - began);
      if (done !== undefined) return { entry: await this.#endWell(found, done), phase: null };
      const next = afterPhase(found);
      if (next !== null) return { entry: found, phase: next };
      return { entry: await this.#finish(found), phase: null };
    } catch (error) {
      if (this.#stop.signal.aborted) return null;
      return this.#fail(withFindings(entry, {}, null, performance.now() - began), reasonOf(error));
    }
  }

  async #act(entry: Entry, canceled: AbortSignal): Promise<PhaseFindings> {
    const limitMs = limitSeconds(entry) * 1000;
    const deadline = AbortSignal.timeout(Math.ceil(limitMs));
    const mayCancel = canCancel(entry.phase) ? [canceled] : [];
    const signal = AbortSignal.any([this.#stop.signal, deadline, ...mayCancel]);
    const work = this.#options.handlers[entry.phase]({
      document: entry.document,
      data: entry.data,
      failure: entry.failure,
      attempt: entry.attempts[entry.phase] ?? 1,
      signal,
      onProgress: this.#progressOf(entry),
    });
    try {
      return await Promise.race([work, whenHung(signal)]);
    } catch (error) {
      if (deadline.aborted && !this.#stop.signal.aborted && !canceled.aborted) {
        const text = `${entry.phase} took longer than ${limitSeconds(entry)} s`;
        throw new PhaseError('phase_timeout', text, { cause: error });
      }
      throw signal.aborted ? signal.reason : error;
    } finally {
      // Left behind: whatever it still does, nobody listens.
      work.catch(() => undefined);
    }
  }

  #progressOf(entry: Entry): (done: number, of: number) => void {
    let last = 0;
    let current = entry;
    return (done, of) => {
      const now = performance.now();
      const { moment, journal, publish } = this.#options;
      if (now - last < PROGRESS_MS || journal.get(entry.document.jobId)?.phase !== entry.phase)
        return;
      last = now;
      current = withProgress(current, { done, of }, moment());
      journal.note(current);
      publish(current.record);
    };
  }

  async #fail(entry: Entry, reason: Reason): Promise<{ entry: Entry; phase: JobPhase | null }> {
    // The way back is tried again: there is nothing behind it.
    if (entry.phase === 'rolling_back' && !isExhausted(entry)) {
      return { entry, phase: 'rolling_back' };
    }
    const status = STATUS_OF.get(reason.code) ?? 'FAILED';
    const next = failed(this.#newest(entry), reason, status, this.#options.moment());
    if (isTerminal(next)) return { entry: await this.#write(next), phase: null };
    return { entry: next, phase: 'rolling_back' };
  }

  async #finish(entry: Entry): Promise<Entry> {
    if (entry.phase === 'rolling_back') {
      return this.#end(entry, 'FAILED', entry.failure, 'rolled_back');
    }
    return this.#end(entry, 'SUCCEEDED', null, 'applied');
  }

  #endWell(entry: Entry, outcome: 'noop_already_installed' | 'dry_run_ok'): Promise<Entry> {
    return this.#end(entry, 'SUCCEEDED', null, outcome);
  }

  async #end(
    entry: Entry,
    status: 'SUCCEEDED' | 'FAILED' | 'CANCELED',
    reason: Reason | null,
    outcome:
      | 'applied'
      | 'rolled_back'
      | 'no_state_change'
      | 'noop_already_installed'
      | 'dry_run_ok' = 'no_state_change',
  ): Promise<Entry> {
    const newest = this.#newest(entry);
    const written = await this.#write(
      ended(newest, status, outcome, reason, this.#options.moment()),
    );
    await this.#trim();
    return written;
  }

  /** A journal that is too long is better than a job that ends twice. */
  async #trim(): Promise<void> {
    const { journal, onForget = async () => undefined, onError } = this.#options;
    try {
      await journal.trim((entry) => onForget(entry.document));
    } catch (error) {
      onError?.(error, 'the oldest');
    }
  }

  /** Progress has moved `seq` on since the phase began. */
  #newest(entry: Entry): Entry {
    const seq = this.#options.journal.get(entry.document.jobId)?.record.seq ?? 0;
    return { ...entry, record: { ...entry.record, seq: Math.max(seq, entry.record.seq) } };
  }

  async #write(entry: Entry): Promise<Entry> {
    const { journal } = this.#options;
    const newest = this.#newest(entry);
    // One that waited for long is not the first to be forgotten when it has ended.
    const order = isTerminal(newest) ? journal.nextOrder() : newest.order;
    const written = await journal.write({ ...newest, order });
    this.#options.publish(written.record);
    return written;
  }

  /** A job that runs in circles ends here. */
  async #endLoop(jobId: string, error: unknown): Promise<void> {
    const entry = this.#options.journal.get(jobId);
    if (!(error instanceof JournalError) || error.code !== 'LOOP' || entry === undefined) return;
    const reason = { code: 'loop_detected', text: messageOf(error) };
    await this.#write(ended(entry, 'FAILED', 'rollback_failed', reason, this.#options.moment()));
  }
}

/** What a job that ends before it changed anything is called, by the reason; else FAILED. */
const STATUS_OF: ReadonlyMap<string, JobStatus> = new Map([
  [CANCELED, 'CANCELED'],
  [SUPERSEDED, 'CANCELED'],
  ['phase_timeout', 'TIMED_OUT'],
  ['expired', 'EXPIRED'],
  ['old_release', 'REJECTED'],
  ['not_compatible', 'REJECTED'],
  ['no_previous', 'REJECTED'],
  ['unsupported', 'REJECTED'],
  ['unknown_model', 'REJECTED'],
  ['bad_settings', 'REJECTED'],
]);

function limitSeconds({ document, phase }: Entry): number {
  return document.limits?.phaseSeconds?.[phase] ?? LIMIT_SECONDS[phase];
}

/** Rejects some time after the signal, for a handler that does not listen to it. */
function whenHung(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const give = () => {
      setTimeout(() => {
        reject(new PhaseError('hung', 'it did not stop when told to'));
      }, GRACE_MS).unref();
    };
    if (signal.aborted) give();
    else signal.addEventListener('abort', give, { once: true });
  });
}

function reasonOf(error: unknown): Reason {
  return { code: codeOf(error) ?? 'unexpected', text: messageOf(error).split('\n')[0] ?? '' };
}
