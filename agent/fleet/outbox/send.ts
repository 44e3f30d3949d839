import { codeOf, messageOf } from '../../util/errors.ts';
import type { BrokerConnection } from '../broker-connection.ts';
import type { OutgoingMessage } from '../protocol/outgoing.ts';
import type { OutboxStore, StoredMessage } from './store.ts';

export interface SendResult {
  /** Sent, or given up: no longer stored. */
  readonly done: readonly number[];
  /** Why some of them were given up. */
  readonly refused: readonly string[];
  readonly ending: 'sent' | 'lost' | 'quota';
}

/** What a broker will say of the same message the next time, too. */
const GIVE_UP = new Set(['REFUSED', 'NOT_AUTHORIZED', 'TOO_LARGE']);

/** Nothing essential in properties: the document itself says its id, its place and its time. */
export function outgoingMessage(
  { id, ts, topic, retain, schema, document }: StoredMessage,
  seq: number,
  replay: boolean,
): OutgoingMessage {
  const marks = { id, seq: String(seq), ts, ...(replay ? { replay: '1' } : {}) };
  const payload = JSON.stringify({ ...document, delivery: { id, seq, ts, replay } });
  return { topic, retain, schema, payload, marks };
}

type Outcome = 'sent' | 'lost' | 'quota' | { readonly why: string };

function isOver(outcome: Outcome | undefined): boolean {
  return outcome !== undefined && outcome !== 'lost' && outcome !== 'quota';
}

async function publish(connection: BrokerConnection, message: OutgoingMessage): Promise<Outcome> {
  try {
    await connection.publish(message);
    return 'sent';
  } catch (error) {
    const code = codeOf(error) ?? '';
    if (code === 'QUOTA') return 'quota';
    return GIVE_UP.has(code) ? { why: messageOf(error) } : 'lost';
  }
}

interface Queued {
  readonly seq: number;
  readonly message: StoredMessage;
}

/**
 * Those of one topic, each when the broker has taken the one before: a broker that refuses one for now
 * (QUOTA) and takes the next would deliver them in another order. What is left is undecided.
 */
async function publishInTurn(
  connection: BrokerConnection,
  messages: readonly Queued[],
  firstLive: number,
): Promise<ReadonlyMap<number, Outcome>> {
  const outcomes = new Map<number, Outcome>();
  for (const { seq, message } of messages) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const outcome = await publish(connection, outgoingMessage(message, seq, seq < firstLive));
    outcomes.set(seq, outcome);
    if (!isOver(outcome)) break;
  }
  return outcomes;
}

/**
 * Sends these messages and removes what the broker has taken: topics side by side, each in order. Those
 * below `firstLive` are marked as replayed. A message that is stored no more counts as done.
 */
export async function sendAll(
  store: OutboxStore,
  connection: BrokerConnection,
  seqs: readonly number[],
  firstLive: number,
): Promise<SendResult> {
  const stored = await Promise.all(
    seqs.map(async (seq) => ({ seq, message: await store.get(seq) })),
  );
  const streams = new Map<string, Queued[]>();
  // Damaged, or given up meanwhile: there is nothing left to send.
  const outcomes = new Map<number, Outcome>();
  for (const { seq, message } of stored) {
    if (message === null) outcomes.set(seq, 'sent');
    else streams.set(message.topic, [...(streams.get(message.topic) ?? []), { seq, message }]);
  }
  const sent = await Promise.all(
    [...streams.values()].map((messages) => publishInTurn(connection, messages, firstLive)),
  );
  for (const found of sent) for (const [seq, outcome] of found) outcomes.set(seq, outcome);
  const all = [...outcomes.values()];
  const done = seqs.filter((seq) => isOver(outcomes.get(seq)));
  await store.remove(done);
  const refused = all.flatMap((outcome) => (typeof outcome === 'object' ? [outcome.why] : []));
  // Where the line is gone, a quota is of no interest.
  const ending = all.includes('lost') ? 'lost' : all.includes('quota') ? 'quota' : 'sent';
  return { done, refused, ending };
}
