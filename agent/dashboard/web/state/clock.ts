/**
 * The clock of the server: times on the page are told by it, because that of the browser may be off.
 * How far the two are apart is learned from answers of the server.
 */
let aheadMs = 0;

/** @param serverMs what the server's clock said just now, milliseconds since 1970 */
export function setServerClock(serverMs: number): void {
  aheadMs = serverMs - Date.now();
}

export function serverNow(): number {
  return Date.now() + aheadMs;
}

const SECOND_MS = 1000;
const ticking = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

/** Calls a listener every second, one timer for the whole page. */
export function onTick(listener: () => void): () => void {
  ticking.add(listener);
  timer ??= setInterval(() => {
    for (const each of ticking) each();
  }, SECOND_MS);
  return () => {
    ticking.delete(listener);
    if (ticking.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}
