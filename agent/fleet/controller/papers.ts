import type { Signer } from '../protocol/signed.ts';
import { topicFor } from '../protocol/topics.ts';
import type { FleetLink } from '../roster/fleet-link.ts';
import { MAX_COUNTER, type SeenRecord } from '../roster/read.ts';
import { isOver } from '../rollouts/execution.ts';
import type { Issue } from '../rollouts/state.ts';
import { jobOf, type Case } from './case.ts';
import { clearMessage, documentMessage, jobDocument } from './documents.ts';
import type { Publisher } from './publisher.ts';
import { entries, type KeptDocument } from './store/rollouts.ts';
import type { Entry, Store } from './store/store.ts';

export interface PapersOptions {
  readonly store: Store;
  readonly epoch: number;
  readonly link: Pick<FleetLink, 'roster' | 'readRetained'>;
  readonly publisher: Publisher;
  readonly signer: Signer;
  readonly now: () => number;
}

/** A signed document, as the store keeps it. */
export function keptEntries(document: KeptDocument): readonly Entry[] {
  return [entries.document(document), entries.counter(document.deviceId, document.counter)];
}

/** The job documents of a leader: signed, brought to the broker, and taken away again. */
export class Papers {
  readonly #options: PapersOptions;
  /** The highest counter that was signed for each device. */
  readonly #counters: Map<string, number>;

  constructor(options: PapersOptions, counters: Map<string, number>) {
    this.#options = options;
    this.#counters = counters;
  }

  sign(one: Case, issue: Issue, isSecond = false): KeptDocument {
    const { link, epoch, signer, now } = this.#options;
    const { deviceId } = issue;
    const reported = link.roster.get(deviceId)?.counters?.job;
    // A device that does not say what it has taken may have taken anything smaller than this.
    const highest = reported ?? Math.floor(now() / 1000);
    const counter = Math.max(highest, this.#counters.get(deviceId) ?? 0) + 1;
    this.#counters.set(deviceId, counter);
    const issuedMs = jobOf(one.executions.get(deviceId), issue.jobId)?.issuedMs ?? now();
    const input = { issue, record: one.state.record, counter, epoch, issuedMs };
    const document = { ...jobDocument(input, signer), isSecond };
    one.documents.set(document.jobId, document);
    return document;
  }

  /** Takes the document of a job away; it stays in the store until the broker has confirmed. */
  clear(one: Case, jobId: string): void {
    const document = one.documents.get(jobId);
    if (document === undefined || one.clearing.has(jobId)) return;
    one.clearing.add(jobId);
    this.#options.publisher.send(clearMessage(document.deviceId, jobId), () => {
      one.documents.delete(jobId);
      one.clearing.delete(jobId);
      one.gone.add(jobId);
    });
  }

  clearEnded(one: Case, deviceId: string): void {
    const execution = one.executions.get(deviceId);
    if (execution === undefined) return;
    if (isOver(execution)) this.clear(one, execution.jobId);
    if (execution.back !== null && isOver(execution.back)) this.clear(one, execution.back.jobId);
  }

  /** Documents that a device has not spoken of must be at the broker; those of ended jobs must not. */
  async restore(one: Case): Promise<void> {
    const needed: KeptDocument[] = [];
    const isAborted = one.state.record.state === 'aborted';
    one.clearing.clear();
    for (const document of one.documents.values()) {
      const execution = one.executions.get(document.deviceId);
      const job = jobOf(execution, document.jobId);
      const isTakenBack = isAborted && job === execution;
      if (job === null || isOver(job) || isTakenBack) this.clear(one, document.jobId);
      else if (job.seq === 0) needed.push(document);
    }
    await this.#bring(one, needed);
  }

  /**
   * Devices that have spoken of an open job of which the broker keeps nothing any more: `spoken` are the
   * topics of the records that it keeps. Throws ReportError.
   */
  async swept(one: Case, spoken: ReadonlySet<string>): Promise<readonly string[]> {
    const unheard = [...one.documents.values()].filter(({ deviceId, jobId }) => {
      const job = jobOf(one.executions.get(deviceId), jobId);
      const isHeard = job?.state === 'open' && job.seq > 0;
      return isHeard && !spoken.has(topicFor('execution', { device: deviceId, job: jobId }));
    });
    if (unheard.length === 0) return [];
    const topics = unheard.map((document) => documentMessage(document).topic);
    const there = await this.#options.link.readRetained(topics);
    return unheard.filter((_, at) => !there.has(topics[at] ?? '')).map(({ deviceId }) => deviceId);
  }

  /** Documents that these devices have not spoken of must be at the broker. */
  async restoreFor(one: Case, deviceIds: ReadonlySet<string>): Promise<void> {
    const needed = [...one.documents.values()].filter(({ deviceId, jobId }) => {
      const job = deviceIds.has(deviceId) ? jobOf(one.executions.get(deviceId), jobId) : null;
      return job?.state === 'open' && job.seq === 0 && !one.clearing.has(jobId);
    });
    await this.#bring(one, needed);
  }

  /** Those that are not at the broker are published again. */
  async #bring(one: Case, needed: readonly KeptDocument[]): Promise<void> {
    const { link, publisher, store, epoch } = this.#options;
    if (needed.length === 0) return;
    const topics = needed.map((document) => documentMessage(document).topic);
    const there = await link.readRetained(topics);
    const isThere = (document: KeptDocument) =>
      there.get(documentMessage(document).topic)?.equals(Buffer.from(document.text)) === true;
    const isOutdated = ({ epoch: of, deviceId }: KeptDocument) =>
      of !== epoch && link.roster.get(deviceId)?.state !== 'online';
    // Signed by an earlier leader, a device that has heard of a later one would refuse it: one that is
    // away may find a job of that one beside it. One that is here has taken it long since.
    const missing = needed.filter((document) => isOutdated(document) || !isThere(document));
    const fresh = missing.map((document) =>
      document.epoch === epoch ? document : this.#signAgain(one, document),
    );
    const put = fresh.flatMap(keptEntries);
    if (put.length > 0) await store.write(epoch, { put, remove: [] });
    for (const document of fresh) publisher.send(documentMessage(document));
  }

  /**
   * What a refusal as a replay means for a job: `ignore` where it is of a document before this one,
   * `issue` where the job is to be issued again, null where it stands. Somebody else has signed jobs
   * for the device with higher counters than it had told; once that is mended, not for ever.
   */
  judgeReplay(one: Case, { jobId, result, reason }: SeenRecord): 'ignore' | 'issue' | null {
    const document = one.documents.get(jobId);
    const lowest = result?.['lowestCounter'];
    if (document === undefined || reason?.code !== 'replayed') return null;
    if (one.clearing.has(jobId) || !isCounter(lowest)) return null;
    if (document.counter >= lowest) return 'ignore';
    if (document.isSecond) return null;
    one.replayed.set(jobId, lowest);
    return 'issue';
  }

  /** Issues jobs again that were taken for replays, if they are still wanted. Throws StoreError. */
  async issueAgain(one: Case): Promise<void> {
    const { store, epoch, publisher } = this.#options;
    const fresh: KeptDocument[] = [];
    for (const [jobId, lowest] of one.replayed) {
      const document = one.documents.get(jobId);
      if (document === undefined || one.clearing.has(jobId)) continue;
      const { deviceId } = document;
      this.#counters.set(deviceId, Math.max(lowest, this.#counters.get(deviceId) ?? 0));
      fresh.push(this.#signAgain(one, { ...document, isSecond: true }));
    }
    one.replayed.clear();
    if (fresh.length === 0) return;
    await store.write(epoch, { put: fresh.flatMap(keptEntries), remove: [] });
    for (const document of fresh) publisher.send(documentMessage(document));
  }

  #signAgain(one: Case, { deviceId, jobId, isSecond }: KeptDocument): KeptDocument {
    const execution = one.executions.get(deviceId);
    const kind = execution?.back?.jobId === jobId ? 'rollback' : 'deploy';
    return this.sign(one, { deviceId, jobId, kind, wave: execution?.wave ?? 0 }, isSecond);
  }
}

function isCounter(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) <= MAX_COUNTER;
}
