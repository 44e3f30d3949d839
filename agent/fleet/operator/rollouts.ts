import { randomBytes } from 'node:crypto';
import type { z } from 'zod';
import {
  controllerStatusSchema,
  type rolloutCommandSchema,
  rolloutResponseSchema,
  rolloutSchema,
  type ControllerStatus,
  type Rollout,
  type RolloutCommandName,
  type RolloutResponse,
  type RolloutSpecInput,
} from '../../contracts/rollout.ts';
import { signDocument, type Signer } from '../protocol/signed.ts';
import { topicFilter, topicFor } from '../protocol/topics.ts';
import type { OperatorChannel } from './channel.ts';
import { KEPT_MS } from './device.ts';
import { OperatorError } from './error.ts';
import { readPayload, readRetained, waitFor } from './wait.ts';

export interface RolloutRequest {
  readonly rolloutId: string;
  readonly command: RolloutCommandName;
  /** Of create, and of a plan without a rollout. Defaults are filled in by the controller. */
  readonly spec?: RolloutSpecInput | undefined;
  readonly reason?: string | undefined;
  /** Of create: and start it at once. */
  readonly approve?: boolean | undefined;
  /** Who asks, for the record. */
  readonly actor?: string | undefined;
  /** Named by the caller to ask again after a lost connection: it is then not done twice. */
  readonly requestId?: string | undefined;
}

export interface RequestOptions {
  readonly signers: readonly Signer[];
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly now?: Date;
}

/** How long a command to the controller stays valid: longer than anybody waits for its answer. */
const COMMAND_VALID_MS = 10 * 60_000;

/**
 * A command that meets no leader is heard by nobody: it is sent again until a new one is there. With the
 * same request id it is not done twice.
 */
const RESEND_MS = 4000;

/** An id that sorts by time and is not used twice. */
export function newId(prefix: string, now: Date): string {
  const stamp = now.toISOString().replaceAll(/[-:.]/g, '').slice(0, 15).toLowerCase();
  return `${prefix}-${stamp}-${randomBytes(3).toString('hex')}`;
}

/** A command as it is signed. Its counter is the time: it grows without anybody keeping it. */
export function rolloutCommand(
  request: RolloutRequest,
  now: Date,
): z.input<typeof rolloutCommandSchema> {
  const { rolloutId, command, spec, reason, approve, actor } = request;
  return {
    type: 'rollout',
    deviceId: rolloutId,
    counter: now.getTime(),
    expires: new Date(now.getTime() + COMMAND_VALID_MS).toISOString(),
    command,
    requestId: request.requestId ?? newId(command, now),
    ...(actor === undefined ? {} : { actor }),
    ...(spec === undefined ? {} : { spec }),
    ...(reason === undefined ? {} : { reason }),
    ...(approve === undefined ? {} : { approve }),
  };
}

/**
 * Sends one signed command to the controller that leads and waits for its answer. Throws OperatorError:
 * REFUSED with the controller's own words, NO_CONTROLLER, NO_ANSWER.
 */
export async function sendRolloutCommand(
  channel: OperatorChannel,
  request: RolloutRequest,
  { signers, timeoutMs, signal, now = new Date() }: RequestOptions,
): Promise<RolloutResponse> {
  const signed = rolloutCommand(request, now);
  const ids = { rollout: request.rolloutId, request: signed.requestId };
  const controllers = new Map<string, ControllerStatus>();
  const answerTopic = topicFor('rolloutResponse', ids);
  const message = {
    topic: topicFor('rolloutCommand', ids),
    payload: JSON.stringify(signDocument(signed, signers)),
    retain: false,
    schema: 'edgefit/signed/1',
  };
  const again = setInterval(() => {
    // When the connection is lost, the wait below says so.
    channel.publish(message).catch(() => undefined);
  }, RESEND_MS);
  const answer = await waitFor(channel, {
    filters: [answerTopic, topicFilter('controllerStatus')],
    timeoutMs,
    signal,
    pick: (arrival) => {
      // An answer that this program cannot read is one, too: nobody waits on.
      if (arrival.topic === answerTopic) {
        return { response: readPayload(rolloutResponseSchema, arrival) };
      }
      const status = readPayload(controllerStatusSchema, arrival);
      if (status !== null) controllers.set(status.controllerId, status);
      return undefined;
    },
    send: () => channel.publish(message),
  }).finally(() => clearInterval(again));
  if (answer === null) throw noAnswer([...controllers.values()], timeoutMs);
  const { response } = answer;
  if (response === null) {
    const text = 'the answer of the controller cannot be read';
    throw new OperatorError('REFUSED', `${text}: it is of another version than this program`);
  }
  if (!response.ok) {
    const { code, text } = response.error ?? { code: 'UNKNOWN', text: 'it does not say why' };
    throw new OperatorError('REFUSED', `${response.controllerId} refuses: ${text} (${code})`);
  }
  return response;
}

function noAnswer(controllers: readonly ControllerStatus[], timeoutMs: number): OperatorError {
  const leader = controllers.find(({ state }) => state === 'leading');
  const seconds = `${timeoutMs / 1000} s`;
  if (leader !== undefined) {
    const text = `${leader.controllerId} leads but has not answered within ${seconds}`;
    return new OperatorError('NO_ANSWER', `${text}: its log says why`);
  }
  const standby = controllers.find(({ state }) => state === 'standby');
  if (standby !== undefined) {
    const text = `no controller leads (${standby.controllerId} stands by)`;
    return new OperatorError('NO_CONTROLLER', `${text}: try again in half a minute`);
  }
  const gone = controllers.map(({ controllerId }) => controllerId).join(', ');
  const who = gone === '' ? '' : ` (${gone}: offline)`;
  const fix = 'start one with agent fleet controller';
  return new OperatorError('NO_CONTROLLER', `no controller is there${who}: ${fix}`);
}

/** The rollouts that the broker keeps, the newest first. */
export async function readRollouts(
  channel: OperatorChannel,
  signal?: AbortSignal,
): Promise<readonly Rollout[]> {
  const kept = await readRetained(
    channel,
    [topicFilter('rollout')],
    signal === undefined ? {} : { signal },
  );
  return kept
    .map((arrival) => readPayload(rolloutSchema, arrival))
    .filter((rollout) => rollout !== null)
    .toSorted((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
}

export interface FollowRollout {
  readonly onChange: (rollout: Rollout) => void;
  /** Where following ends. */
  readonly until: (rollout: Rollout) => boolean;
  /** How long the first record may take to come; no longer than anything that the broker keeps. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Follows a rollout's record until `until`, and returns that. Older ones are passed over. */
export async function followRollout(
  channel: OperatorChannel,
  rolloutId: string,
  { onChange, until, timeoutMs, signal }: FollowRollout,
): Promise<Rollout> {
  let last: Rollout | null = null;
  const filters = [topicFor('rollout', { rollout: rolloutId })];
  const next = (rollout: Rollout): boolean => {
    if (last !== null && rollout.rev <= last.rev) return false;
    last = rollout;
    onChange(rollout);
    return true;
  };
  const first = await waitFor(channel, {
    filters,
    timeoutMs: Math.min(timeoutMs, KEPT_MS),
    signal,
    pick: (arrival) => readPayload(rolloutSchema, arrival) ?? undefined,
  });
  if (first === null) {
    const text = `the broker keeps no rollout ${rolloutId}`;
    throw new OperatorError('UNKNOWN_ROLLOUT', `${text}: agent fleet rollout ls shows them`);
  }
  next(first);
  if (until(first)) return first;
  const end = await waitFor(channel, {
    filters,
    signal,
    pick: (arrival) => {
      const rollout = readPayload(rolloutSchema, arrival);
      if (rollout === null || !next(rollout)) return undefined;
      return until(rollout) ? rollout : undefined;
    },
  });
  return end ?? first;
}
