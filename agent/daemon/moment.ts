/** Milliseconds since boot, whatever the clock does. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

/** When something happened, by both clocks of the device. */
export function momentOf(bootId: string | null) {
  return { ts: new Date().toISOString(), mono: Math.round(monotonicMs()), bootId };
}
