import type { DeviceRequest, DeviceResponse } from '../../contracts/fleet-request.ts';
import type { OutgoingMessage } from '../protocol/outgoing.ts';
import { parseTopic } from '../protocol/topics.ts';
import type { RawMessage } from './incoming.ts';
import { refuse } from './refusals.ts';
import type { Refusal } from './refusals.ts';

/** Answers one method. What it throws becomes the answer's error. */
export type Answer = (request: DeviceRequest) => Promise<Readonly<Record<string, unknown>>>;

export interface RequestContext {
  readonly deviceId: string;
  readonly answers: Readonly<Record<string, Answer>>;
  readonly now: () => Date;
}

/** After this nobody waits any more; of MQTT 5, which then drops it on the way. */
const ANSWER_EXPIRY_S = 30;

/** Where the answer goes: only to a controller, in this device's name, under the request's id. */
function replyTopicOf(
  request: DeviceRequest,
  raw: RawMessage,
  deviceId: string,
): { readonly topic: string } | Refusal {
  const topic = request.replyTo ?? raw.responseTopic;
  if (topic === undefined) return refuse('NO_REPLY_TOPIC', 'replyTo is missing');
  const parsed = parseTopic(topic);
  const isOurs =
    parsed?.kind === 'response' &&
    parsed.ids['device'] === deviceId &&
    parsed.ids['request'] === request.id;
  if (isOurs) return { topic };
  return refuse('BAD_REPLY_TOPIC', `use edgefit/v1/c/{controller}/rsp/${deviceId}/${request.id}`);
}

/**
 * The answer to a request, or why there is none. A method that this agent does not know is answered
 * too, so that nobody waits in vain. Never throws.
 */
export async function answerRequest(
  method: string,
  request: DeviceRequest,
  raw: RawMessage,
  { deviceId, answers, now }: RequestContext,
): Promise<{ readonly message: OutgoingMessage; readonly refusal: Refusal | null } | Refusal> {
  if (request.expires !== undefined && Date.parse(request.expires) < now().getTime()) {
    return refuse('EXPIRED', `nobody waits for it since ${request.expires}`);
  }
  const reply = replyTopicOf(request, raw, deviceId);
  if (!('topic' in reply)) return reply;
  const answer = Object.hasOwn(answers, method) ? answers[method] : undefined;
  const outcome =
    answer === undefined
      ? refuse('UNKNOWN_METHOD', `known are ${Object.keys(answers).join(', ')}`)
      : await resultOf(answer, request);
  const refusal = 'result' in outcome ? null : outcome;
  const response: DeviceResponse = {
    schema: 'edgefit/response/1',
    id: request.id,
    deviceId,
    ts: now().toISOString(),
    ok: refusal === null,
    result: 'result' in outcome ? { ...outcome.result } : null,
    error: refusal === null ? null : { code: refusal.refused, text: refusal.why },
  };
  return { refusal, message: messageFor(reply.topic, response, raw) };
}

async function resultOf(answer: Answer, request: DeviceRequest) {
  try {
    return { result: await answer(request) };
  } catch {
    // What exactly went wrong stays in the log of the device.
    return refuse('FAILED', 'it failed on the device; its log says why');
  }
}

function messageFor(topic: string, response: DeviceResponse, raw: RawMessage): OutgoingMessage {
  return {
    topic,
    payload: JSON.stringify(response),
    retain: false,
    schema: response.schema,
    expirySeconds: ANSWER_EXPIRY_S,
    ...(raw.correlationData === undefined ? {} : { correlationData: raw.correlationData }),
  };
}
