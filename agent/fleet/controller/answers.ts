import type { Rollout, RolloutCommand } from '../../contracts/rollout.ts';
import { codeOf, messageOf } from '../../util/errors.ts';
import { command, type Ordered } from '../rollouts/commands.ts';
import { RolloutError, rolloutErrorCodes } from '../rollouts/error.ts';
import type { Change, RolloutState } from '../rollouts/state.ts';
import type { StepInput } from '../rollouts/step.ts';
import type { Case } from './case.ts';

const MAX_ANSWERED = 50;

/** The answer to a request that was obeyed before. Throws the RolloutError that it was then. */
export function again({ state }: Case, error: { code: string; text: string } | null): Rollout {
  if (error === null) return state.record;
  const code = rolloutErrorCodes.find((known) => known === error.code) ?? 'bad_state';
  throw new RolloutError(code, error.text);
}

/** They only stop: whoever asks for them with a clock that is behind must not be turned away. */
const STOPPING: readonly RolloutCommand['command'][] = ['pause', 'abort'];

/**
 * A command that comes after a newer one was held back on its way, and is not what its sender wants any
 * more. Throws RolloutError `bad_state`.
 */
export function checkCounter(state: RolloutState, asked: RolloutCommand): void {
  const { counter } = asked;
  if (counter <= state.forgotten) {
    throw new RolloutError('bad_state', `counter: ${counter} was used up long ago`);
  }
  const highest = Math.max(...state.answered.map((one) => one.counter));
  if (counter < highest && !STOPPING.includes(asked.command)) {
    const text = `counter: ${counter} is below ${highest}, that of an earlier command`;
    throw new RolloutError('bad_state', `${text}: is the clock of one of the senders wrong?`);
  }
}

/** A refusal is an answer, too: what was refused once is not obeyed when it comes again. */
export function commanded(input: StepInput, name: Ordered, reason: string | undefined) {
  try {
    return command(input, name, reason);
  } catch (error) {
    if (!(error instanceof RolloutError)) throw error;
    const nothing = { changed: new Map(), issue: [], clear: [], events: [] };
    return { change: { ...nothing, state: input.state }, error };
  }
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
