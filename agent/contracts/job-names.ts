/** Words of jobs. Apart from their schemas, so that a page in a browser can have them alone. */

export const jobTypes = [
  'deploy',
  'fit',
  'bench',
  'rollback',
  'config',
  'collect',
  'selfcheck',
  'selfupdate',
] as const;

/** In the order of a deployment; other jobs pass through some of them. More may come. */
export const jobPhases = [
  'accepted',
  'waiting',
  'downloading',
  'verifying',
  'fitting',
  'staged',
  'activating',
  'probing',
  'committing',
  'rolling_back',
] as const;

export const jobStatuses = [
  'QUEUED',
  'IN_PROGRESS',
  'SUCCEEDED',
  'FAILED',
  'REJECTED',
  'CANCELED',
  'TIMED_OUT',
  'EXPIRED',
] as const;

export const jobOutcomes = [
  'applied',
  'noop_already_installed',
  'no_state_change',
  'rolled_back',
  'rollback_failed',
  'dry_run_ok',
  'superseded',
] as const;
