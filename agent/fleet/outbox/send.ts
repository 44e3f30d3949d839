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
  return outcome !== 'lost' && outcome !== 'quota';
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

/**
 * Sends these messages, all on the way at once, in order, and removes what the broker has taken.
 * Those below `firstLive` are marked as replayed. A message that is stored no more counts as done.
 */
export async function sendAll(
  store: OutboxStore,
  connection: BrokerConnection,
  seqs: readonly number[],
  firstLive: number,
): Promise<SendResult> {
  const stored = await Promise.all(seqs.map((seq) => store.get(seq)));
  const outcomes = await Promise.all(
    stored.map(async (message, index): Promise<Outcome> => {
      const seq = seqs[index] ?? 0;
      // Damaged, or given up meanwhile: there is nothing left to send.
      if (message === null) return 'sent';
      return publish(connection, outgoingMessage(message, seq, seq < firstLive));
    }),
  );
  const done = seqs.filter((_seq, index) => isOver(outcomes[index]));
  await store.remove(done);
  const refused = outcomes.flatMap((outcome) => (typeof outcome === 'object' ? [outcome.why] : []));
  const ending = outcomes.find((outcome) => outcome === 'lost' || outcome === 'quota') ?? 'sent';
  return { done, refused, ending };
}
