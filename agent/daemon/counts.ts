import type { DeviceParts } from '../fleet/device/device.ts';
import type { AgentCounts } from '../telemetry/self.ts';
import type { JobTally } from './job-tally.ts';
import { monotonicMs } from './moment.ts';
import type { DaemonTelemetryOptions } from './telemetry.ts';

/** What the parts of the daemon have counted. */
export function countsOf(
  { device, jobs }: DaemonTelemetryOptions,
  tally: JobTally,
  offlineSeconds: number,
): AgentCounts {
  const parts = device();
  const refused = parts?.refusals.counts();
  return {
    outbox: parts?.outbox.stats() ?? null,
    reconnects: parts === null ? null : Math.max(0, parts.session.connects() - 1),
    offlineSeconds: parts === null ? null : offlineSeconds,
    refusedMessages:
      refused === undefined ? null : Object.values(refused).reduce((sum, count) => sum + count, 0),
    jobs: jobs() === null ? null : tally.byOutcome(),
  };
}

/** Seconds without a broker, as far as they were looked at. */
export function offlineClock(device: () => DeviceParts | null): () => number {
  let seconds = 0;
  let lastMs = monotonicMs();
  return () => {
    const nowMs = monotonicMs();
    if (device()?.session.online() === false) seconds += (nowMs - lastMs) / 1000;
    lastMs = nowMs;
    return seconds;
  };
}
