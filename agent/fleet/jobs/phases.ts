import { jobPhases } from '../../contracts/job-names.ts';
import type { JobPhase, JobType } from '../../contracts/job.ts';

/**
 * Which phases a job passes through, how long each may take, and what a failure there means. The
 * machine is data: docs/jobs.md is written from this page.
 */

const DEPLOY: readonly JobPhase[] = jobPhases.filter((phase) => phase !== 'rolling_back');

export const CHAINS: Readonly<Record<JobType, readonly JobPhase[]>> = {
  deploy: DEPLOY,
  selfupdate: DEPLOY.filter((phase) => phase !== 'fitting'),
  rollback: ['accepted', 'waiting', 'activating', 'probing', 'committing'],
  // The package of what is installed is not kept: it is fetched again.
  fit: DEPLOY,
  bench: ['accepted', 'waiting', 'fitting'],
  config: ['accepted', 'committing'],
  collect: ['accepted', 'committing'],
  selfcheck: ['accepted', 'committing'],
};

const [MINUTE, HOUR] = [60, 3600];

/** Longest time in each phase, seconds, unless the job sets another. `waiting` ends with the job. */
export const LIMIT_SECONDS: Readonly<Record<JobPhase, number>> = {
  accepted: MINUTE,
  waiting: 7 * 24 * HOUR,
  downloading: 2 * HOUR,
  verifying: 5 * MINUTE,
  fitting: 45 * MINUTE,
  // An agent has thousands of files, each synced.
  staged: 5 * MINUTE,
  activating: MINUTE,
  probing: 10 * MINUTE,
  committing: 30,
  rolling_back: 5 * MINUTE,
};

/**
 * Times a phase may begin, counting restarts of the daemon: a phase that brings the machine down must
 * not do so for ever. A restart while probing counts as a boot with the new model: three, then back.
 */
export const MAX_ATTEMPTS: Readonly<Record<JobPhase, number>> = {
  accepted: 5,
  waiting: 1000,
  downloading: 50,
  verifying: 5,
  fitting: 2,
  staged: 5,
  activating: 5,
  probing: 3,
  committing: 10,
  rolling_back: 3,
};

/** From here on the device runs, or may run, something else than before. */
const CHANGED: readonly JobPhase[] = ['activating', 'probing', 'committing'];

/** Whether giving up in this phase needs a way back first. */
export function needsRollback(jobType: JobType, phase: JobPhase): boolean {
  return CHANGED.includes(phase) && CHAINS[jobType].includes('activating');
}

/** Whether a job may still be canceled or superseded: until it starts to change the device. */
export function canCancel(phase: JobPhase): boolean {
  return !CHANGED.includes(phase) && phase !== 'rolling_back';
}

/** The phase after this one; null when the job is done. */
export function phaseAfter(jobType: JobType, phase: JobPhase): JobPhase | null {
  const chain = CHAINS[jobType];
  return chain[chain.indexOf(phase) + 1] ?? null;
}
