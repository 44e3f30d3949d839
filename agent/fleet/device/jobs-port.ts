import type { JobType } from '../../contracts/messages.ts';
import type { OutgoingMessage } from '../protocol/outgoing.ts';
import type { UnverifiedDocument } from './incoming.ts';
import { refuse } from './refusals.ts';
import type { Refusal } from './refusals.ts';

/**
 * Where job documents are handed over. A job is retained and so comes again with every connection:
 * `onJob` is called with what is known already, too. Its signatures have not been checked.
 */
export interface JobsPort {
  /** What can be done, for the birth. */
  readonly types: readonly JobType[];
  /** Resolves when the job is in the journal, or with the reason why it never will be. */
  readonly onJob: (jobId: string, document: UnverifiedDocument) => Promise<Refusal | null>;
  /** The controller has taken the document away. */
  readonly onCleared: (jobId: string) => Promise<void>;
  /**
   * The last record of every job that is open or not yet archived: published on connecting.
   * Each is made when it is asked for: one that was made earlier could overtake its successor.
   */
  readonly openRecords: () => AsyncIterable<OutgoingMessage>;
  /** What was chosen of every model that runs here, and why: published on connecting. */
  readonly decisions: () => AsyncIterable<OutgoingMessage>;
}

/** A device that takes no jobs: each is refused and counted. */
export const noJobs: JobsPort = {
  types: [],
  onJob: async () => refuse('UNSUPPORTED', 'this agent takes no jobs'),
  onCleared: async () => undefined,
  openRecords: async function* none() {
    // There are none.
  },
  decisions: async function* none() {
    // Nor are there models.
  },
};
