/** How many samples are being decoded while one is being used. */
const AHEAD = 2;

/**
 * Yields `load(from)` to before `load(to)` in order, with the next ones already under way, so that
 * decoding overlaps with inference. At most AHEAD + 1 results are in memory.
 */
export async function* readAhead<T>(
  from: number,
  to: number,
  load: (index: number) => Promise<T>,
): AsyncGenerator<T> {
  const waiting: Promise<T>[] = [];
  let next = from;
  try {
    while (next < to || waiting.length > 0) {
      while (next < to && waiting.length <= AHEAD) {
        const started = load(next);
        // It is awaited later or, when the consumer left, never: it must not count as unhandled.
        started.catch(() => undefined);
        waiting.push(started);
        next += 1;
      }
      const first = waiting.shift();
      // oxlint-disable-next-line no-await-in-loop -- results are wanted in order
      if (first !== undefined) yield await first;
    }
  } finally {
    // Files that are being read are closed before the caller goes on.
    await Promise.allSettled(waiting);
  }
}
