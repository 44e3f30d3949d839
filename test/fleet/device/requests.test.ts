import { expect, test } from '@jest/globals';
import { responseSchema } from '../../../agent/contracts/fleet-request.ts';
import { answerRequest } from '../../../agent/fleet/device/requests.ts';

const now = () => new Date('2026-03-01T12:00:00.000Z');
const context = {
  deviceId: 'pi-7',
  now,
  answers: {
    ping: async () => ({ session: 3 }),
    broken: async () => {
      throw new Error('/secret/path');
    },
  },
};
const raw = { topic: '', payload: new Uint8Array(), retain: false };
const REPLY = 'edgefit/v1/c/me/rsp/pi-7/r1';
const request = { schema: 'edgefit/request/1', id: 'r1' } as const;

async function ask(method: string, more: object, from: object = {}) {
  const outcome = await answerRequest(
    method,
    { ...request, ...more },
    { ...raw, ...from },
    context,
  );
  if ('refused' in outcome) return outcome;
  const document = responseSchema.parse(JSON.parse(outcome.message.payload));
  return { ...outcome.message, document };
}

test('answers where the request says', async () => {
  expect(await ask('ping', { replyTo: REPLY })).toMatchObject({
    topic: REPLY,
    retain: false,
    document: { ok: true, id: 'r1', deviceId: 'pi-7', result: { session: 3 }, error: null },
  });
});

test('or at the response topic of MQTT 5, with its correlation data', async () => {
  const correlationData = Buffer.from([1, 2]);
  const answered = await ask('ping', {}, { responseTopic: REPLY, correlationData });
  expect(answered).toMatchObject({ topic: REPLY, correlationData });
});

test.each<[string, object, string]>([
  ['nowhere to answer', {}, 'NO_REPLY_TOPIC'],
  ['a topic of its own branch', { replyTo: 'edgefit/v1/d/pi-7/up/status' }, 'BAD_REPLY_TOPIC'],
  ['the name of another device', { replyTo: 'edgefit/v1/c/me/rsp/pi-8/r1' }, 'BAD_REPLY_TOPIC'],
  ['the answer to another request', { replyTo: 'edgefit/v1/c/me/rsp/pi-7/r2' }, 'BAD_REPLY_TOPIC'],
  ['any topic', { replyTo: 'x/#' }, 'BAD_REPLY_TOPIC'],
  ['a second late', { replyTo: REPLY, expires: '2026-03-01T11:59:59Z' }, 'EXPIRED'],
])('no answer: %s', async (_name, more, code) => {
  expect(await ask('ping', more)).toMatchObject({ refused: code });
});

test.each([
  ['nonsense', 'UNKNOWN_METHOD'],
  ['toString', 'UNKNOWN_METHOD'],
  ['broken', 'FAILED'],
])('%s is answered with %s', async (method, code) => {
  const answered = await ask(method, { replyTo: REPLY });
  expect(answered).toMatchObject({ document: { ok: false, result: null, error: { code } } });
  expect(JSON.stringify(answered)).not.toContain('/secret');
});
