import { isOver, type Execution, type Executions } from './execution.ts';
import { hasEnded, type RolloutState } from './state.ts';

/** What one rollout has to know of the others that bring the same model to devices. */
export interface Others {
  /** Id of the one that a device takes part in; null: it is free. */
  readonly holder: (deviceId: string) => string | null;
  /** Whether a device has a job of one of them that has not ended. */
  readonly isAtWork: (deviceId: string) => boolean;
}

export interface Member {
  readonly state: RolloutState;
  readonly executions: Executions;
}

export const NO_OTHERS: Others = { holder: () => null, isAtWork: () => false };

/** The other rollouts of a model, among all that may still hand out jobs. */
export function othersOf(members: Iterable<Member>, rolloutId: string, model: string): Others {
  const others = [...members].filter(
    ({ state: { record } }) => record.rolloutId !== rolloutId && record.spec.model.name === model,
  );
  if (others.length === 0) return NO_OTHERS;
  return {
    holder: (deviceId) => {
      const found = others.find(({ state, executions }) => holds(state, executions.get(deviceId)));
      return found?.state.record.rolloutId ?? null;
    },
    isAtWork: (deviceId) => others.some(({ executions }) => hasOpenJob(executions.get(deviceId))),
  };
}

/** An open rollout keeps its devices until it ends, those aside whose jobs were taken back. */
function holds(state: RolloutState, execution: Execution | undefined): boolean {
  if (execution === undefined) return false;
  if (!hasEnded(state.record) && execution.state !== 'canceled') return true;
  return !isDone(state, execution);
}

/** Whether nothing more is to come of one device's part in a rollout. */
export function isDone({ undo }: Pick<RolloutState, 'undo'>, execution: Execution): boolean {
  const { state, back } = execution;
  if (!isOver(execution)) return false;
  return back === null ? !(undo && state === 'succeeded') : isOver(back);
}

function hasOpenJob(execution: Execution | undefined): boolean {
  return execution?.state === 'open' || execution?.back?.state === 'open';
}
