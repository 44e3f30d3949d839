import type { JobDocument, JobPhase, JobRecord, JobStatus } from '../../contracts/job.ts';
import { messageOf } from '../../util/errors.ts';
import {
  beginPhase,
  ended,
  failed,
  isExhausted,
  isTerminal,
  withProgress,
  type Entry,
  type Moment,
  type Reason,
} from './entry.ts';
import { JournalError, type Journal } from './journal.ts';

export interface LedgerOptions {
  readonly journal: Journal;
  /** Says how a job stands. It must not fail: reporting never fails a job. */
  readonly publish: (record: JobRecord) => void;
  readonly moment: () => Moment;
  /** A finished job is about to be forgotten: from now on nobody else refuses its document. */
  readonly onForget?: (document: JobDocument) => Promise<void>;
  readonly onError?: (error: unknown, jobId: string) => void;
}

const PROGRESS_MS = 1000;

export const CANCELED = 'canceled';
export const SUPERSEDED = 'superseded';

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

/** How jobs stand: first on the disk, then told. */
export class Ledger {
  readonly #options: LedgerOptions;

  constructor(options: LedgerOptions) {
    this.#options = options;
  }

  /** The next phase is on the disk before it is acted upon. */
  async begin(before: Entry, phase: JobPhase): Promise<Entry> {
    return this.#write(beginPhase(this.#newest(before), phase, this.#options.moment()));
  }

  /** Takes how far a phase is; told once a second at most, and not written. */
  progressOf(entry: Entry): (done: number, of: number) => void {
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

  /** A phase has failed: the job ends here, or goes the way back. */
  async fail(entry: Entry, reason: Reason): Promise<{ entry: Entry; phase: JobPhase | null }> {
    // The way back is tried again: there is nothing behind it.
    if (entry.phase === 'rolling_back' && !isExhausted(entry)) {
      return { entry, phase: 'rolling_back' };
    }
    const status = STATUS_OF.get(reason.code) ?? 'FAILED';
    const next = failed(this.#newest(entry), reason, status, this.#options.moment());
    if (isTerminal(next)) return { entry: await this.#write(next), phase: null };
    return { entry: next, phase: 'rolling_back' };
  }

  /** The last phase has ended. */
  async finish(entry: Entry): Promise<Entry> {
    if (entry.phase === 'rolling_back') {
      return this.#end(entry, 'FAILED', entry.failure, 'rolled_back');
    }
    return this.#end(entry, 'SUCCEEDED', null, 'applied');
  }

  /** Nothing more is to be done. */
  endWell(entry: Entry, outcome: 'noop_already_installed' | 'dry_run_ok'): Promise<Entry> {
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
  async endLoop(jobId: string, error: unknown): Promise<void> {
    const entry = this.#options.journal.get(jobId);
    if (!(error instanceof JournalError) || error.code !== 'LOOP' || entry === undefined) return;
    const reason = { code: 'loop_detected', text: messageOf(error) };
    await this.#write(ended(entry, 'FAILED', 'rollback_failed', reason, this.#options.moment()));
  }
}
