import { setTimeout as sleep } from 'node:timers/promises';
import { connectAsync, type MqttClient } from 'mqtt';

export interface Message {
  readonly topic: string;
  readonly text: string;
  readonly json: unknown;
}

export interface Listener {
  readonly client: MqttClient;
  /** The first message that came since the listener was opened and fits; waits for it. */
  readonly wait: (fits: (message: Message) => boolean, withinMs?: number) => Promise<Message>;
  /** All so far. */
  readonly all: () => readonly Message[];
  readonly stop: () => Promise<void>;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Hears what is published at a broker. */
export async function listenTo(url: string, filters: readonly string[]): Promise<Listener> {
  const client = await connectAsync(url, { reconnectPeriod: 0 });
  const messages: Message[] = [];
  client.on('message', (topic, payload) => {
    const text = payload.toString();
    messages.push({ topic, text, json: parse(text) });
  });
  await client.subscribeAsync([...filters], { qos: 1 });
  return {
    client,
    all: () => messages,
    wait: async (fits, withinMs = 15_000) => {
      const deadline = Date.now() + withinMs;
      for (;;) {
        const found = messages.find(fits);
        if (found !== undefined) return found;
        if (Date.now() > deadline) throw new Error(`nothing came at ${filters.join(', ')}`);
        // oxlint-disable-next-line no-await-in-loop -- polling with a deadline
        await sleep(50);
      }
    },
    stop: () => client.endAsync(true),
  };
}
