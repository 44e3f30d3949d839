import type { JobStatus } from '../../contracts/job.ts';
import type { SeenModel, SeenRecord, SeenTwin } from './read.ts';

export const rowStates = ['online', 'offline', 'draining', 'silent'] as const;
export type RowState = (typeof rowStates)[number];

/** The job that a device spoke of last. */
export interface RowJob {
  readonly jobId: string;
  readonly jobType: string;
  readonly phase: string;
  readonly status: JobStatus;
}

/** A device as an operator sees it. A row is never changed: a newer one takes its place. */
export interface DeviceRow {
  readonly deviceId: string;
  /** `silent`: it says that it is online and has not been heard for three of its reports. */
  readonly state: RowState;
  readonly session: number | null;
  /** When something of it was last heard, milliseconds since 1970; null: never. */
  readonly lastSeenMs: number | null;
  /** Id of the hardware profile; '' while no card is known. */
  readonly class: string;
  readonly board: string;
  readonly arch: string;
  readonly tags: readonly string[];
  readonly agent: string;
  readonly precisions: readonly string[];
  readonly accelerators: readonly string[];
  readonly jobTypes: readonly string[];
  readonly keyIds: readonly string[];
  readonly model: SeenModel | null;
  /** Of the last benchmark of what runs here. */
  readonly p90Ms: number | null;
  readonly accuracy: { readonly metric: string; readonly value: number } | null;
  readonly celsius: number | null;
  readonly throttled: boolean | null;
  readonly job: RowJob | null;
  /** Two machines go by this id. */
  readonly cloned: boolean;
  /** Highest counters of the signed documents that it has taken; null: it does not say. */
  readonly counters: SeenTwin['counters'] | null;
}

export function emptyRow(deviceId: string): DeviceRow {
  return {
    deviceId,
    state: 'offline',
    session: null,
    lastSeenMs: null,
    class: '',
    board: '',
    arch: '',
    tags: [],
    agent: '',
    precisions: [],
    accelerators: [],
    jobTypes: [],
    keyIds: [],
    model: null,
    p90Ms: null,
    accuracy: null,
    celsius: null,
    throttled: null,
    job: null,
    cloned: false,
    counters: null,
  };
}

export function jobOf({ jobId, jobType, phase, status }: SeenRecord): RowJob {
  return { jobId, jobType, phase, status };
}
