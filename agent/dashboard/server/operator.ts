import type { ApiErrorCode } from '../../contracts/dashboard.ts';
import type { Rollout } from '../../contracts/rollout.ts';
import type { BrokerSettings } from '../../fleet/broker-link.ts';
import { openChannel, type OperatorChannel } from '../../fleet/operator/channel.ts';
import { issueJob, type SingleJob } from '../../fleet/operator/jobs.ts';
import { newId, sendRolloutCommand, type RolloutRequest } from '../../fleet/operator/rollouts.ts';
import type { Signer } from '../../fleet/protocol/signed.ts';
import { codeOf, messageOf } from '../../util/errors.ts';
import { ApiFailure } from './error.ts';
import type { Operator } from './ports.ts';

export interface SigningOptions {
  readonly broker: BrokerSettings;
  readonly clientId: string;
  readonly timeoutMs: number;
  readonly signers: readonly Signer[];
  /** Called with what a controller answered. */
  readonly onRollout: (rollout: Rollout) => void;
  readonly log: (fields: object, message: string) => void;
}

/** What each failure of the operator's side and of the connection is for the page. */
const CODES: Readonly<Record<string, ApiErrorCode>> = {
  NO_CONTROLLER: 'no_controller',
  NO_ANSWER: 'timeout',
  REFUSED: 'refused',
  UNKNOWN_DEVICE: 'not_found',
  UNKNOWN_ROLLOUT: 'not_found',
  NO_COUNTER: 'refused',
  NOTHING_RUNS: 'refused',
  NO_ACCESS: 'refused',
  NOT_AUTHORIZED: 'refused',
  TOO_LARGE: 'too_large',
  LOST: 'broker_lost',
  UNREACHABLE: 'broker_lost',
  TIMEOUT: 'broker_lost',
};

/** Longer than this no request may take; a controller answers within a second or two. */
const ANSWER_MS = 15_000;

/** Does what operators ask for, signed, each over a connection of its own. */
export function signingOperator(options: SigningOptions): Operator {
  const { signers, log, onRollout } = options;
  const timeoutMs = Math.min(options.timeoutMs, ANSWER_MS);
  const request = async (wanted: RolloutRequest): Promise<Rollout> => {
    log({ ...wanted, spec: undefined }, 'an operator commands a rollout');
    const answer = await withChannel(options, (channel) =>
      sendRolloutCommand(channel, wanted, { signers, timeoutMs }),
    );
    if (answer.rollout === null) {
      throw new ApiFailure('failed', `${answer.controllerId} answered without the rollout`);
    }
    if (wanted.command !== 'plan') onRollout(answer.rollout);
    return answer.rollout;
  };
  return {
    act: async (deviceId, { action, model }, actor) => {
      log({ deviceId, action, actor }, 'an operator orders a job');
      const { jobId } = await withChannel(options, (channel) =>
        issueJob(channel, deviceId, jobOf(action, model), { signers, timeoutMs }),
      );
      return { jobId };
    },
    plan: (spec, actor) =>
      request({ rolloutId: newId('plan', new Date()), command: 'plan', spec, actor }),
    create: (wanted, actor) => request({ ...wanted, command: 'create', actor }),
    command: (rolloutId, command, reason, actor) => request({ rolloutId, command, reason, actor }),
  };
}

function jobOf(
  action: 'bench' | 'rollback' | 'collect' | 'selfcheck',
  model: string | undefined,
): SingleJob {
  if (action === 'collect' || action === 'selfcheck') return { jobType: action };
  return { jobType: action, ...(model === undefined ? {} : { model }) };
}

/** Throws ApiFailure, whatever goes wrong. */
async function withChannel<T>(
  { broker, clientId, timeoutMs }: SigningOptions,
  work: (channel: OperatorChannel) => Promise<T>,
): Promise<T> {
  try {
    const channel = await openChannel({ broker, timeoutMs, operatorId: clientId });
    try {
      return await work(channel);
    } finally {
      await channel.close();
    }
  } catch (error) {
    const code = CODES[codeOf(error) ?? ''];
    throw code === undefined ? error : new ApiFailure(code, messageOf(error), error);
  }
}
