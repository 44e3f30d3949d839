import { access } from 'node:fs/promises';

/** Made by systemd-timesyncd once the network has set the clock (systemd-time-wait-sync(8)). */
const MARK = '/run/systemd/timesync/synchronized';

/**
 * Whether the network has set the clock since boot. False where nobody says so, e.g. with another time
 * service: whoever asks then takes the latest of the times that it knows, which is the clock unless
 * that is behind.
 */
export async function isClockSynchronised(): Promise<boolean> {
  try {
    await access(MARK);
    return true;
  } catch {
    return false;
  }
}
