/** Longer than a page waits before it asks again. */
const AGAIN_MS = 60_000;
const MAX_MESSAGES = 100;

interface Told {
  readonly atMs: number;
  left: number;
}

/**
 * A log that says the same thing once a minute, and then how often it was left out: with a database
 * away every request would add a line.
 */
export function seldom(
  log: (message: string) => void,
  nowMs: () => number = () => performance.now(),
): (message: string) => void {
  const told = new Map<string, Told>();
  return (message) => {
    const now = nowMs();
    const before = told.get(message);
    if (before !== undefined && now - before.atMs < AGAIN_MS) {
      before.left += 1;
      return;
    }
    // Texts that differ every time must not fill the memory either.
    if (told.size >= MAX_MESSAGES) told.clear();
    told.set(message, { atMs: now, left: 0 });
    log(before === undefined || before.left === 0 ? message : `${message} (${before.left} more)`);
  };
}
