import type { Rollout, RolloutCommand } from '../../contracts/rollout.ts';
import { codeOf, messageOf } from '../../util/errors.ts';
import { RolloutError } from '../rollouts/error.ts';
import type { Change } from '../rollouts/state.ts';
import type { Case } from './case.ts';

const MAX_ANSWERED = 50;

/** The answer to a request that was obeyed before. Throws the RolloutError that it was then. */
export function again({ state }: Case, error: { code: string; text: string } | null): Rollout {
  if (error === null) return state.record;
  throw new RolloutError(isKnownCode(error.code) ? error.code : 'bad_state', error.text);
}

function isKnownCode(code: string): code is RolloutError['code'] {
  return code === 'thresholds' || code === 'bad_state';
}

/** The change with the answer to its request, so that the request is not obeyed twice. */
export function withAnswer(
  change: Change,
  asked: RolloutCommand,
  error: RolloutError | null,
): Change {
  const { requestId, counter } = asked;
  const answer = {
    requestId,
    counter,
    error: error === null ? null : { code: codeOf(error) ?? '', text: messageOf(error) },
  };
  const all = [...change.state.answered, answer];
  const dropped = all.slice(0, Math.max(0, all.length - MAX_ANSWERED));
  const forgotten = Math.max(change.state.forgotten, ...dropped.map((one) => one.counter));
  return {
    ...change,
    state: { ...change.state, answered: all.slice(-MAX_ANSWERED), forgotten },
  };
}
