import { X509Certificate } from 'node:crypto';

const DAY_MS = 86_400_000;
/** How long before its end a certificate is warned of; one that lives shorter, in its last third. */
const WARN_MS = 30 * DAY_MS;

/**
 * What is to be said of a certificate's time at `nowMs`, milliseconds since 1970: that it has ended, will
 * soon, or has not begun; null when all is well. `pem` may hold several; the first counts.
 */
export function certificateAge(pem: string, nowMs: number): string | null {
  const { validFrom, validTo } = new X509Certificate(pem);
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)];
  if (nowMs < from) return `is not valid before ${dayOf(from)}: is the clock of this device right?`;
  if (nowMs >= to) return `expired on ${dayOf(to)}`;
  return to - nowMs < Math.min(WARN_MS, (to - from) / 3) ? `expires on ${dayOf(to)}` : null;
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
