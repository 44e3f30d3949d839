import type { JobStatus } from '../../contracts/job.ts';

const OPEN: readonly JobStatus[] = ['QUEUED', 'IN_PROGRESS'];

/** Whether a job has ended, one way or another: such a record never changes again. */
export function isFinished(status: JobStatus): boolean {
  return !OPEN.includes(status);
}
