import type { FleetEvent } from '../contracts/event.ts';
import { topicFor } from '../fleet/protocol/topics.ts';
import { messageOf } from '../util/errors.ts';
import type { DriftChange } from './infer-state.ts';
import { momentOf } from './moment.ts';
import type { DaemonTelemetryOptions } from './telemetry.ts';

/** A limit is passed, or kept again; through the outbox, so that it is not lost. */
export async function tellDrift(
  { model, version, kind, beyond, before, now, limit }: DriftChange,
  { device, deviceId, bootId, log }: DaemonTelemetryOptions,
): Promise<void> {
  const facts = { model, version, kind, before, now, limit };
  const what = kind === 'latency' ? 'p90 in ms' : 'accuracy';
  const text = beyond
    ? `${model} ${version}: ${what} was ${before} when it was deployed and is ${now} now`
    : `${model} ${version}: ${what} is ${now}, within the limit again`;
  log.logger[beyond ? 'warn' : 'info'](facts, 'drift');
  const event: FleetEvent = {
    schema: 'edgefit/event/1',
    deviceId,
    type: 'drift',
    code: beyond ? `${kind}_drift` : 'drift_over',
    severity: beyond ? 'warning' : 'info',
    text,
    ...momentOf(bootId),
    facts,
  };
  try {
    await device()?.outbox.add({
      topic: topicFor('event', { device: deviceId, event: event.type }),
      schema: event.schema,
      retain: false,
      priority: 'high',
      document: event,
    });
  } catch (error) {
    log.logger.warn({ why: messageOf(error) }, 'a drift could not be told');
  }
}
