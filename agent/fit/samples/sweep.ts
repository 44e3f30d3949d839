import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Feeds } from '../../runtime/types.ts';

/** What samples may leave behind before it is cleared away. */
const MOST_GARBAGE_BYTES = 5 * 2 ** 20;

/**
 * Passes samples on, and every few megabytes has the garbage collector run: left to itself it starts
 * late, since what samples leave behind is outside its heap.
 */
export async function* sweeping(samples: AsyncIterable<Feeds>): AsyncGenerator<Feeds> {
  const collectGarbage = garbageCollector();
  let floor = Infinity;
  for await (const feeds of samples) {
    yield feeds;
    const now = process.memoryUsage().arrayBuffers;
    floor = Math.min(floor, now);
    if (now < floor + MOST_GARBAGE_BYTES) continue;
    collectGarbage();
    // What is found now goes on shrinking for a while.
    floor = Infinity;
  }
}

/** V8's own, which a program gets to see with a flag only; without effect where there is none. */
function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  const found: unknown = runInNewContext('globalThis.gc');
  return typeof found === 'function' ? () => void found() : () => undefined;
}
