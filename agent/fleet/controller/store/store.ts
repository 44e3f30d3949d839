/** Texts by key, as a controller keeps them. */
export type Entry = readonly [key: string, value: string];

/** One atomic write. */
export interface Batch {
  readonly put: readonly Entry[];
  readonly remove: readonly string[];
}

/** Who wants to lead. */
export interface Candidate {
  readonly controllerId: string;
  /** The epoch will be at least this: some device has already seen the one before. */
  readonly minEpoch: number;
}

/**
 * Where a controller keeps what must survive it. Whoever leads has an epoch that no leader before had;
 * a write by an older epoch is refused in the same transaction, so that a leader that was frozen and
 * wakes up cannot change anything. All methods throw StoreError.
 */
export interface Store {
  /** The epoch, when this candidate leads now; null while another does. */
  readonly lead: (candidate: Candidate) => Promise<number | null>;
  /** Prolongs the lease; false when it is lost. */
  readonly renew: (epoch: number) => Promise<boolean>;
  /** Lets another lead at once. */
  readonly resign: (epoch: number) => Promise<void>;
  /** How long a lease holds without being prolonged; Infinity where nobody else can lead. */
  readonly leaseMs: number;
  /** Whether rollouts that are kept no longer stay in it as history, for whoever asks the database. */
  readonly keepsPast: boolean;
  readonly get: (key: string) => Promise<string | null>;
  /** Entries whose keys begin so, in the order of their keys. */
  readonly scan: (prefix: string) => AsyncIterable<Entry>;
  /** All or nothing, and durable when it resolves. */
  readonly write: (epoch: number, batch: Batch) => Promise<void>;
  readonly close: () => Promise<void>;
}
