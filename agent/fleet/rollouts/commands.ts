import type { Rollout, RolloutCommand, RolloutSpec, Wave } from '../../contracts/rollout.ts';
import { RolloutError } from './error.ts';
import { judgeFailures } from './judge.ts';
import type { Others } from './others.ts';
import { makePlan } from './plan.ts';
import { withTally } from './record.ts';
import { EMPTY_WAVE, NEW_MEMO } from './state.ts';
import type { Change, Fleet, RolloutState } from './state.ts';
import { beginStep, type StepInput } from './step.ts';
import { tallyOf } from './tally.ts';

export interface NewRollout {
  readonly rolloutId: string;
  /** With the release's counter and digest filled in. */
  readonly spec: RolloutSpec;
  readonly fleet: Fleet;
  readonly others: Others;
  readonly keyId: string;
  readonly nowMs: number;
  readonly actor: string | null;
  readonly approve: boolean;
}

/** A rollout with its targets frozen: planned, or approved at once. Throws RolloutError. */
export function createRollout(input: NewRollout): Change {
  const { rolloutId, spec, fleet, others, keyId, nowMs, actor, approve } = input;
  const plan = makePlan({ rolloutId, spec, rows: fleet.rows(), others, keyId });
  const ts = new Date(nowMs).toISOString();
  const executions = new Map(plan.executions.map((one) => [one.deviceId, one]));
  const tally = tallyOf(executions.values(), plan.waves.length, fleet, nowMs);
  const record: Rollout = {
    schema: 'edgefit/rollout/1',
    rolloutId,
    rev: 1,
    epoch: 0,
    state: approve ? 'approved' : 'planned',
    spec,
    createdAt: ts,
    createdBy: actor,
    startedAt: null,
    endedAt: null,
    ts,
    reason: null,
    wave: null,
    waves: plan.waves.map((wave, index) => ({ ...EMPTY_WAVE, ...wave, index })),
    counts: tally.counts,
    offline: tally.offline,
    left: [...plan.left],
    failures: [],
  };
  const memos = plan.waves.map(() => NEW_MEMO);
  const state: RolloutState = {
    record,
    memos,
    issued: [],
    undo: false,
    lookedMs: nowMs,
    answered: [],
    forgotten: -1,
  };
  const whole = withTally(state, tally, nowMs);
  return { state: whole, changed: executions, issue: [], clear: [], events: [] };
}

export type Ordered = Exclude<RolloutCommand['command'], 'create' | 'plan'>;

/**
 * What an operator's command changes. Throws RolloutError `bad_state` where it makes no sense, and
 * `thresholds` for a resume whose waves have failed on since: the next resume goes on in spite of it.
 */
export function command(
  input: StepInput,
  name: Ordered,
  reason: string | undefined,
): { readonly change: Change; readonly error: RolloutError | null } {
  const { record } = input.state;
  const text = reason ?? 'by an operator';
  if (!ALLOWED[name].includes(record.state)) {
    const when = ALLOWED[name].join(' or ');
    const message = `${record.rolloutId} is ${record.state}: ${name} is for one that is ${when}`;
    throw new RolloutError('bad_state', message);
  }
  const step = beginStep(input);
  switch (name) {
    case 'approve':
      return done(beginStep(withRecord(input, { state: 'approved', reason: null })).change());
    case 'pause':
      step.pause('operator', text);
      return done(step.change());
    case 'resume':
      return resume(input);
    case 'abort':
      step.abort('operator', text, false);
      return done(step.change());
    case 'rollback':
      step.abort('operator', text, true);
      return done(step.change());
    default:
      return name satisfies never;
  }
}

const ALLOWED: Readonly<Record<Ordered, readonly Rollout['state'][]>> = {
  approve: ['planned'],
  pause: ['approved', 'running'],
  resume: ['paused'],
  abort: ['draft', 'planned', 'approved', 'running', 'paused'],
  rollback: ['running', 'paused', 'completed', 'aborted'],
};

function done(change: Change): { readonly change: Change; readonly error: null } {
  return { change, error: null };
}

function withRecord(input: StepInput, part: Partial<Rollout>): StepInput {
  return { ...input, state: { ...input.state, record: { ...input.state.record, ...part } } };
}

/** What had failed when a wave stopped is forgiven; what has failed since is judged first. */
function resume(input: StepInput) {
  const { state, executions, fleet, nowMs } = input;
  const { record } = state;
  const tally = tallyOf(executions.values(), record.waves.length, fleet, nowMs);
  const problems: string[] = [];
  const memos = state.memos.map((memo, index) => {
    const wave = record.waves[index];
    const own = tally.waves[index];
    if (wave === undefined || own === undefined || wave.state === 'scheduled') return memo;
    const waived = memo.waived || wave.state === 'failed';
    const next = { ...memo, waived, forgiven: memo.stoppedAt ?? memo.forgiven };
    const why = judgeFailures(own, wave.kind, record.spec, next);
    if (why === null) return next;
    problems.push(`wave ${index + 1}: ${why}`);
    return { ...next, stoppedAt: own.judged };
  });
  const isBad = problems.length > 0;
  const waves = isBad ? record.waves : record.waves.map((wave, at) => revived(wave, memos[at]));
  const isStarted = record.startedAt !== null;
  const part: Partial<Rollout> = isBad
    ? { reason: { code: 'thresholds', text: problems.join('; ') } }
    : { waves, state: isStarted ? 'running' : 'approved', reason: null };
  const changed = withRecord({ ...input, state: { ...state, memos } }, part);
  const error = isBad
    ? new RolloutError('thresholds', `${problems.join('; ')}: resume again to go on all the same`)
    : null;
  return { change: beginStep(changed).change(), error };
}

function revived(wave: Wave, memo: RolloutState['memos'][number] | undefined): Wave {
  if (wave.state !== 'failed') return wave;
  const state = memo?.stoppedIn === 'passed' ? 'passed' : 'running';
  return { ...wave, state, soakUntil: null, endedAt: state === 'passed' ? wave.endedAt : null };
}
