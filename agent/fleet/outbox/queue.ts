/** Which messages a full outbox gives up first. */
export const priorities = ['low', 'normal', 'high'] as const;
export type Priority = (typeof priorities)[number];

/** What is kept in memory of a stored message. */
export interface QueueEntry {
  readonly seq: number;
  readonly bytes: number;
  readonly priority: Priority;
}

export interface QueueLimits {
  readonly maxMessages: number;
  readonly maxBytes: number;
}

/** The order and the size of what is stored; holds no messages. Entries come with growing `seq`. */
export class OutboxQueue {
  readonly #limits: QueueLimits;
  readonly #entries = new Map<number, QueueEntry>();
  #bytes = 0;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get messages(): number {
    return this.#entries.size;
  }

  add(entry: QueueEntry): void {
    this.remove([entry.seq]);
    this.#entries.set(entry.seq, entry);
    this.#bytes += entry.bytes;
  }

  remove(seqs: readonly number[]): void {
    for (const seq of seqs) {
      this.#bytes -= this.#entries.get(seq)?.bytes ?? 0;
      this.#entries.delete(seq);
    }
  }

  /** The oldest ones, in order. */
  first(count: number): readonly number[] {
    const seqs: number[] = [];
    for (const seq of this.#entries.keys()) {
      if (seqs.length === count) break;
      seqs.push(seq);
    }
    return seqs;
  }

  /**
   * Which must go so that `entry` fits: of the lowest priority the oldest, one by one. The new one
   * may be among them. Changes nothing.
   */
  victimsOf(entry: QueueEntry): readonly number[] {
    // Giving up everything would not help.
    if (entry.bytes > this.#limits.maxBytes) return [entry.seq];
    let excessMessages = this.messages + 1 - this.#limits.maxMessages;
    let excessBytes = this.#bytes + entry.bytes - this.#limits.maxBytes;
    const victims: number[] = [];
    if (excessMessages <= 0 && excessBytes <= 0) return victims;
    for (const priority of priorities) {
      for (const one of [...this.#entries.values(), entry]) {
        if (excessMessages <= 0 && excessBytes <= 0) return victims;
        if (one.priority !== priority) continue;
        victims.push(one.seq);
        excessMessages -= 1;
        excessBytes -= one.bytes;
      }
    }
    return victims;
  }
}
