import type { Telemetry } from '../contracts/telemetry.ts';
import { topicFor } from '../fleet/protocol/topics.ts';
import { TelemetryStreams } from '../telemetry/streams.ts';
import { messageOf } from '../util/errors.ts';
import { monotonicMs } from './moment.ts';
import type { DaemonTelemetryOptions } from './telemetry.ts';

const MINUTE_MS = 60_000;

/**
 * Streams that go to the broker at QoS 0, and while there is none into the outbox. What the disk does
 * not take is written down: the other streams, and whoever scrapes, must go on.
 */
export function openStreams({ config, deviceId, bootId, device, log }: DaemonTelemetryOptions) {
  const { fullMinutes, historyMinutes } = config.telemetry;
  const topicOf = ({ stream }: Telemetry) => topicFor('telemetry', { device: deviceId, stream });
  return new TelemetryStreams({
    deviceId,
    bootId,
    fullMs: fullMinutes * MINUTE_MS,
    historyMs: historyMinutes * MINUTE_MS,
    nowMs: Date.now,
    monoMs: monotonicMs,
    isOnline: () => device()?.session.online() ?? false,
    publish: async (message) => {
      const topic = topicOf(message);
      const { schema } = message;
      const payload = JSON.stringify(message);
      await device()?.session.publish({ topic, schema, payload, retain: false, qos: 0 });
    },
    keep: async (message) => {
      const topic = topicOf(message);
      const { schema } = message;
      const [retain, priority] = [false, 'low'] as const;
      try {
        await device()?.outbox.add({ topic, schema, retain, priority, document: message });
      } catch (error) {
        log.logger.warn({ topic, why: messageOf(error) }, 'a sample could not be kept');
      }
    },
  });
}
