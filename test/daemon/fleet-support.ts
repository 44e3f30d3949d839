import { connectAsync } from 'mqtt';
import type { IClientOptions, MqttClient } from 'mqtt';
import { afterThisTest } from '../fleet/support/harness.ts';
import { until } from './support.ts';

export interface Seen {
  readonly topic: string;
  readonly retain: boolean;
  readonly document: Readonly<Record<string, unknown>>;
  readonly properties: Readonly<Record<string, unknown>>;
}

export interface Watcher {
  readonly client: MqttClient;
  readonly seen: readonly Seen[];
  /** The first message from `from` on whose topic ends so and that satisfies `check`. */
  readonly find: (ending: string, check?: (seen: Seen) => boolean, from?: number) => Promise<Seen>;
}

function documentOf(payload: Buffer): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(payload.toString());
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    // Tests also send what is no JSON.
    return {};
  }
}

/** A client of its own that sees everything below the root. */
export async function watch(
  port: number,
  url = `mqtt://127.0.0.1:${port}`,
  more: IClientOptions = {},
): Promise<Watcher> {
  const client = await connectAsync(url, { protocolVersion: 5, reconnectPeriod: 100, ...more });
  afterThisTest(() => client.endAsync(true));
  const seen: Seen[] = [];
  client.on('message', (topic, payload, { retain, properties }) => {
    seen.push({ topic, retain, document: documentOf(payload), properties: { ...properties } });
  });
  await client.subscribeAsync('edgefit/v1/#', { qos: 1 });
  const find: Watcher['find'] = (ending, check = () => true, from = 0) =>
    until(`a message at ${ending}`, () =>
      seen.slice(from).find((one) => one.topic.endsWith(ending) && check(one)),
    );
  return { client, seen, find };
}

export const yamlFor = (port: number, more = ''): string =>
  [
    'deviceId: pi-7',
    'mqtt:',
    `  url: mqtt://127.0.0.1:${port}`,
    '  reconnectMinSeconds: 0.05',
    '  reconnectMaxSeconds: 0.2',
    more,
  ].join('\n');
