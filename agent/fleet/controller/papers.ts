import type { Signer } from '../protocol/signed.ts';
import type { FleetLink } from '../roster/fleet-link.ts';
import { isOver } from '../rollouts/execution.ts';
import type { Issue } from '../rollouts/state.ts';
import { jobOf, type Case } from './case.ts';
import { clearMessage, documentMessage, jobDocument } from './documents.ts';
import type { Publisher } from './publisher.ts';
import { entries, type KeptDocument } from './store/rollouts.ts';
import type { Store } from './store/store.ts';

export interface PapersOptions {
  readonly store: Store;
  readonly epoch: number;
  readonly link: Pick<FleetLink, 'roster' | 'readRetained'>;
  readonly publisher: Publisher;
  readonly signer: Signer;
  readonly now: () => number;
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

  sign(one: Case, issue: Issue): KeptDocument {
    const { link, epoch, signer, now } = this.#options;
    const { deviceId } = issue;
    const reported = link.roster.get(deviceId)?.counters?.job;
    // A device that does not say what it has taken may have taken anything smaller than this.
    const highest = reported ?? Math.floor(now() / 1000);
    const counter = Math.max(highest, this.#counters.get(deviceId) ?? 0) + 1;
    this.#counters.set(deviceId, counter);
    const issuedMs = jobOf(one.executions.get(deviceId), issue.jobId)?.issuedMs ?? now();
    const input = { issue, record: one.state.record, counter, epoch, issuedMs };
    const document = jobDocument(input, signer);
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
    const { link, publisher, store, epoch } = this.#options;
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
    if (needed.length === 0) return;
    const topics = needed.map((document) => documentMessage(document).topic);
    const there = await link.readRetained(topics);
    const isThere = (document: KeptDocument) =>
      there.get(documentMessage(document).topic)?.equals(Buffer.from(document.text)) === true;
    const missing = needed.filter((document) => !isThere(document));
    // Signed by an earlier leader, a device that has heard of a later one would refuse it.
    const fresh = missing.map((document) =>
      document.epoch === epoch ? document : this.#signAgain(one, document),
    );
    const put = fresh.flatMap((document) => [
      entries.document(document),
      entries.counter(document.deviceId, document.counter),
    ]);
    if (put.length > 0) await store.write(epoch, { put, remove: [] });
    for (const document of fresh) publisher.send(documentMessage(document));
  }

  #signAgain(one: Case, { deviceId, jobId }: KeptDocument): KeptDocument {
    const execution = one.executions.get(deviceId);
    const kind = execution?.back?.jobId === jobId ? 'rollback' : 'deploy';
    return this.sign(one, { deviceId, jobId, kind, wave: execution?.wave ?? 0 });
  }
}
