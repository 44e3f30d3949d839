import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import type { BrokerConnection } from '../../../agent/fleet/broker-connection.ts';
import { sendAll } from '../../../agent/fleet/outbox/send.ts';
import { openStore } from '../../../agent/fleet/outbox/store.ts';
import { ReportError } from '../../../agent/fleet/report-error.ts';
import { afterThisTest, folderWith } from '../support/harness.ts';

const TOPICS = ['a', 'b', 'a', 'a', 'b', 'a'];

/** An outbox with a message of each topic, `seq` from 1. */
async function stored() {
  const store = await openStore(folderWith({}), () => undefined);
  afterThisTest(() => store.close());
  for (const [index, topic] of TOPICS.entries()) {
    const seq = index + 1;
    const text = JSON.stringify({
      id: `m${seq}`,
      ts: '2026-06-01T00:00:00.000Z',
      topic,
      retain: false,
      schema: 'edgefit/test/1',
      priority: 'normal',
      document: { n: seq },
    });
    // oxlint-disable-next-line no-await-in-loop -- in order
    await store.put(seq, text, { seq, dropped: 0 }, []);
  }
  return store;
}

/** A broker that says for how long it refuses a message; no real one can be made to. */
function moody(refuses: (n: number) => 'QUOTA' | 'TIMEOUT' | 'TOO_LARGE' | null) {
  const taken: number[] = [];
  const connection: BrokerConnection = {
    protocol: 5,
    publish: async ({ payload }) => {
      await sleep(1);
      const { n } = JSON.parse(payload) as { n: number };
      const code = refuses(n);
      if (code !== null) throw new ReportError(code, 'as the test wants');
      taken.push(n);
    },
    subscribe: async () => [],
    unsubscribe: async () => undefined,
    receiveMaximum: 16,
    ended: new Promise(() => undefined),
    close: async () => undefined,
  };
  return { connection, taken };
}

const SEQS = TOPICS.map((_topic, index) => index + 1);
const ofTopic = (seqs: readonly number[], topic: string) =>
  seqs.filter((seq) => TOPICS[seq - 1] === topic);

test.each(['QUOTA', 'TIMEOUT'] as const)(
  'what comes after a message that is not taken now (%s) waits, other topics go on',
  async (code) => {
    const store = await stored();
    const { connection, taken } = moody((n) => (n === 3 ? code : null));
    const first = await sendAll(store, connection, SEQS, 1);
    expect(first.ending).toBe(code === 'QUOTA' ? 'quota' : 'lost');
    expect(ofTopic(taken, 'a')).toEqual([1]);
    expect(ofTopic(taken, 'b')).toEqual([2, 5]);
    expect(first.done).toEqual([1, 2, 5]);
    const later = moody(() => null);
    const left = SEQS.filter((seq) => !first.done.includes(seq));
    expect(await sendAll(store, later.connection, left, 1)).toMatchObject({ done: [3, 4, 6] });
    expect(later.taken).toEqual([3, 4, 6]);
  },
);

test('one that will never be taken is given up, and holds up nothing', async () => {
  const store = await stored();
  const { connection, taken } = moody((n) => (n === 3 ? 'TOO_LARGE' : null));
  const { done, refused, ending } = await sendAll(store, connection, SEQS, 1);
  expect({ done, ending }).toEqual({ done: SEQS, ending: 'sent' });
  expect(refused).toHaveLength(1);
  expect(ofTopic(taken, 'a')).toEqual([1, 4, 6]);
});
