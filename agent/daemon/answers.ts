import { uptime } from 'node:os';
import type { Expiries } from '../deploy/tuf/trusted-targets.ts';
import type { DeviceParts } from '../fleet/device/device.ts';
import type { Answer } from '../fleet/device/requests.ts';
import type { Log } from './log.ts';

/** What one answer may hold, with room for what is around it in a message of 128 KiB. */
const MAX_TAIL_BYTES = 100 * 1024;
const DEFAULT_LINES = 100;

/** What people ask a device when something seems wrong. */
export function answersOf(
  log: Log,
  { session, outbox, refusals }: DeviceParts,
  metadataExpires: () => Expiries | null,
) {
  const health: Answer = async () => ({
    processUptimeSeconds: Math.round(process.uptime()),
    machineUptimeSeconds: Math.round(uptime()),
    rssBytes: process.memoryUsage.rss(),
    session: session.sessionNumber(),
    connects: session.connects(),
    outbox: outbox.stats(),
    refused: refusals.counts(),
    metadataExpires: metadataExpires(),
  });
  const logtail: Answer = async ({ lines = DEFAULT_LINES }) => ({ lines: lastLines(log, lines) });
  return { health, logtail };
}

/** As many of the newest lines as fit. */
function lastLines(log: Log, most: number): readonly string[] {
  const lines: string[] = [];
  let bytes = 0;
  for (const line of log.tail(most).toReversed()) {
    // Quotes within a line are escaped in the answer: twice the bytes at most.
    bytes += 2 * Buffer.byteLength(line);
    if (bytes > MAX_TAIL_BYTES) break;
    lines.push(line);
  }
  return lines.toReversed();
}
