import type { Check, Finding } from '../util/check.ts';
import type { MqttSettings } from './mqtt-options.ts';

/** Nothing comes for so long: the broker has sent what it would. */
const QUIET_MS = 2000;

const MEND =
  'raise max_queued_messages (mosquitto; 0 for no limit) for other programs that read the whole fleet; edgefit itself reads it shard by shard';

/**
 * Whether one subscription brings what the broker keeps of a whole fleet. A broker with a bounded queue
 * for each client drops the rest without a word, and whoever reads that way sees a part of the fleet.
 */
export function queueCheck(settings: MqttSettings): Check {
  return {
    id: 'broker-queue',
    title: 'Queue of the MQTT broker',
    severity: 'optional',
    dependsOn: 'broker',
    run: async (signal) => {
      const { ReportError } = await import('../fleet/report-error.ts');
      try {
        return await compare(settings, signal);
      } catch (error) {
        if (!(error instanceof ReportError) || error.code !== 'NOT_AUTHORIZED') throw error;
        return { ok: true, found: 'not measured: this user may not read the cards of the fleet' };
      }
    },
  };
}

async function compare(settings: MqttSettings, signal: AbortSignal): Promise<Finding> {
  const shards = await readCards('shards', settings, signal);
  const kept = shards.cards;
  if (kept === 0) {
    const why = 'the broker keeps no cards of devices, or this user may not read them';
    return { ok: true, found: `not measured: ${why}` };
  }
  const atOnce = (await readCards('at-once', settings, signal)).cards;
  const facts = { cards: String(kept), cardsAtOnce: String(atOnce) };
  if (!shards.isWhole) {
    const found = `not even a shard of the cards comes whole (${kept} cards came): the broker queues too little for a client`;
    const mend = 'raise max_queued_messages (mosquitto; 0 for no limit): a fleet is read in shards';
    return { ok: false, found, mend, facts };
  }
  if (atOnce >= kept)
    return { ok: true, found: `one subscription brings ${kept} of ${kept} cards`, facts };
  const found = `one subscription brings ${atOnce} of ${kept} cards: the broker queues no more for a client`;
  return { ok: false, found, mend: MEND, facts };
}

/** How many different cards come, shard by shard or asked for all at once. Throws ReportError. */
async function readCards(
  how: 'shards' | 'at-once',
  { broker, timeoutMs, deviceId }: MqttSettings,
  signal: AbortSignal,
): Promise<{ readonly cards: number; readonly isWhole: boolean }> {
  // Loaded here: `--help` does without.
  const { RetainedReader } = await import('../fleet/roster/retained-reader.ts');
  const { topicFilter } = await import('../fleet/protocol/topics.ts');
  const topics = new Set<string>();
  const reader = await RetainedReader.open({
    broker,
    connect: { clientId: `${deviceId ?? 'edgefit'}-doctor-${process.pid}`, timeoutMs, signal },
    // What is said meanwhile is not what was kept.
    onMessage: ({ topic, payload, retain }) => {
      if (retain && payload.length > 0) topics.add(topic);
    },
    ...(how === 'at-once' ? { quietMs: QUIET_MS } : {}),
  });
  try {
    const isWhole =
      how === 'shards'
        ? (await reader.readCards()).cut.length === 0
        : await reader.readTopics([topicFilter('card')]);
    return { cards: topics.size, isWhole };
  } finally {
    await reader.close();
  }
}
