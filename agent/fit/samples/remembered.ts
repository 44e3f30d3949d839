import type { Feeds } from '../../runtime/types.ts';

/** Samples that may be kept for the next pass over them; with more, each pass reads them anew. */
const MOST_BYTES = 16 * 2 ** 20;

let kept: { readonly key: string; readonly feeds: readonly Feeds[] } | undefined;

/**
 * Samples that are passed over several times in one child: what fits into a little memory is decoded
 * once.
 * @param key tells one set of samples from another
 */
export async function* remembered(
  key: string,
  read: () => AsyncIterable<Feeds>,
): AsyncGenerator<Feeds> {
  if (kept?.key === key) {
    yield* kept.feeds;
    return;
  }
  kept = undefined;
  const feeds: Feeds[] = [];
  let bytes = 0;
  for await (const one of read()) {
    yield one;
    bytes += bytesOf(one);
    if (bytes <= MOST_BYTES) feeds.push(one);
    else feeds.length = 0;
  }
  if (bytes <= MOST_BYTES) kept = { key, feeds };
}

/** When calibration is over, its samples make room for what comes next. */
export function forgetSamples(): void {
  kept = undefined;
}

function bytesOf(feeds: Feeds): number {
  return Object.values(feeds).reduce(
    (sum, { data }) => sum + ('byteLength' in data ? data.byteLength : Infinity),
    0,
  );
}
