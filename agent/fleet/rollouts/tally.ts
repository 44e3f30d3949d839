import type { JobCounts, Rollout } from '../../contracts/rollout.ts';
import { NO_ANSWER, type Execution, type HandedOut } from './execution.ts';
import type { Fleet } from './state.ts';

export interface ClassTally {
  readonly targets: number;
  readonly ended: number;
  readonly failed: number;
  readonly canceled: number;
}

/** What limits go by: a device that never spoke of its job says nothing of the release. */
export interface Judged {
  readonly failed: number;
  readonly ended: number;
}

export interface WaveTally {
  readonly counts: JobCounts;
  readonly classes: ReadonlyMap<string, ClassTally>;
  /** Open jobs of devices that are there. */
  readonly busy: number;
  readonly judged: Judged;
}

export interface Tally {
  readonly counts: JobCounts;
  readonly waves: readonly WaveTally[];
  readonly offline: number;
  readonly failures: Rollout['failures'];
}

/** A device that has not been heard for so long holds up no wave. */
const AWAY_MS = 120_000;
const MAX_EXAMPLES = 5;
/** The record must stay a message, whatever the fleet. */
const MAX_FAILURES = 25;
const MAX_CLASS_CHARACTERS = 64;

/** Of no device. */
export const NO_JOBS: JobCounts = {
  targets: 0,
  pending: 0,
  open: 0,
  succeeded: 0,
  failed: 0,
  rejected: 0,
  canceled: 0,
  rolledBack: 0,
};

/** How many of a wave have ended, in whatever way but taken back. */
export function endedOf({ succeeded, failed, rejected }: JobCounts): number {
  return succeeded + failed + rejected;
}

/** Counts the executions of a rollout, in one pass. */
export function tallyOf(
  executions: Iterable<Execution>,
  waves: number,
  fleet: Fleet,
  nowMs: number,
): Tally {
  const tallies = Array.from({ length: waves }, () => ({
    counts: { ...NO_JOBS },
    classes: new Map<string, ClassTally>(),
    busy: 0,
    judged: { failed: 0, ended: 0 },
  }));
  const failures = new Map<string, Rollout['failures'][number]>();
  const total = { ...NO_JOBS };
  let offline = 0;
  for (const execution of executions) {
    const tally = tallies[execution.wave];
    if (tally === undefined) continue;
    count(tally.counts, execution);
    count(total, execution);
    countClass(tally.classes, execution);
    const row = fleet.get(execution.deviceId);
    if (row?.state !== 'online' && row?.state !== 'draining') offline += 1;
    if (execution.state === 'open' && !isAway(row, nowMs)) tally.busy += 1;
    if (isFailure(execution)) countFailure(failures, execution, execution);
    const { back } = execution;
    if (back !== null && isFailure(back)) countFailure(failures, execution, back);
    if (!isSilent(execution)) countJudged(tally.judged, execution);
  }
  const frequent = [...failures.values()].toSorted((a, b) => b.devices - a.devices);
  return { counts: total, waves: tallies, offline, failures: frequent.slice(0, MAX_FAILURES) };
}

/** A device that was away or switched off all the time that its job was valid. */
function isSilent({ state, seq, wasHeard, reason }: Execution): boolean {
  return state === 'failed' && seq === 0 && !wasHeard && reason?.code === NO_ANSWER;
}

function countJudged(judged: { failed: number; ended: number }, execution: Execution): void {
  const isFailed = isFailure(execution);
  judged.failed += isFailed ? 1 : 0;
  judged.ended += isFailed || execution.state === 'succeeded' ? 1 : 0;
}

function isFailure({ state }: HandedOut): boolean {
  return state === 'failed' || state === 'rejected';
}

function count(counts: JobCounts, { state, rolledBack, back }: Execution): void {
  counts.targets += 1;
  counts[state] += 1;
  if (rolledBack || back?.state === 'succeeded') counts.rolledBack += 1;
}

function countClass(classes: Map<string, ClassTally>, execution: Execution): void {
  const before = classes.get(execution.class) ?? { targets: 0, ended: 0, failed: 0, canceled: 0 };
  const isEnded = execution.state === 'succeeded' || isFailure(execution);
  classes.set(execution.class, {
    targets: before.targets + 1,
    ended: before.ended + (isEnded ? 1 : 0),
    failed: before.failed + (isFailure(execution) ? 1 : 0),
    canceled: before.canceled + (execution.state === 'canceled' ? 1 : 0),
  });
}

function isAway(row: ReturnType<Fleet['get']>, nowMs: number): boolean {
  if (row === undefined) return true;
  if (row.state === 'online' || row.state === 'draining') return false;
  return row.lastSeenMs === null || nowMs - row.lastSeenMs >= AWAY_MS;
}

/** `job`: the deployment, or what was to undo it and has not: the device goes on with the release. */
function countFailure(
  failures: Map<string, Rollout['failures'][number]>,
  { deviceId, back, ...execution }: Execution,
  job: HandedOut,
): void {
  const { code, text: why } = job.reason ?? { code: 'unknown', text: '' };
  const isBack = job === back;
  const text = isBack ? `not undone: ${why}` : why;
  const className = execution.class.slice(0, MAX_CLASS_CHARACTERS);
  const key = `${isBack}\n${code}\n${className}`;
  const known = failures.get(key);
  if (known === undefined) {
    failures.set(key, { code, class: className, devices: 1, examples: [deviceId], text });
    return;
  }
  known.devices += 1;
  if (known.examples.length < MAX_EXAMPLES) known.examples.push(deviceId);
}
