/*
 * A uniform sample of a stream of unknown length in bounded space: algorithm R (J. S. Vitter, "Random
 * sampling with a reservoir", ACM TOMS 11, 1985, section 2), with a bound on bytes beside that on the
 * number. A set that has passed over a sample is full for good: to let it grow again would favour what
 * comes later. So its capacity is what it holds, and nothing but the count has to be remembered.
 */

/** A kept sample: its place in the stream, from 0. */
export interface Held {
  readonly index: number;
  readonly bytes: number;
}

export interface Reservoir {
  /** Samples offered so far. */
  readonly seen: number;
  readonly held: readonly Held[];
}

export interface ReservoirLimits {
  readonly maxSamples: number;
  /** Of all samples together. */
  readonly maxBytes: number;
}

/** A uniform whole number from 0 to below `bound`. */
export type Random = (bound: number) => number;

export interface Offered {
  readonly reservoir: Reservoir;
  /** Whether the new sample is among them. */
  readonly kept: boolean;
  /** Samples that were held before and are not any more. */
  readonly evicted: readonly Held[];
}

/** Offers the next sample of the stream. Pure but for `random`. A sample alone must be within limits. */
export function offer(
  { seen, held }: Reservoir,
  bytes: number,
  limits: ReservoirLimits,
  random: Random,
): Offered {
  const sample = { index: seen, bytes };
  const isFull = held.length < seen || held.length >= limits.maxSamples;
  // Over all samples so far: one of `held.length` in `seen + 1` is the chance of this one.
  const place = isFull ? random(seen + 1) : held.length;
  if (isFull && place >= held.length) {
    return { reservoir: { seen: seen + 1, held }, kept: false, evicted: [] };
  }
  const next = [...held.slice(0, place), sample, ...held.slice(place + 1)];
  const within = trim(next, limits, random);
  const stays = new Set(within.map(({ index }) => index));
  return {
    reservoir: { seen: seen + 1, held: within },
    kept: stays.has(sample.index),
    evicted: held.filter(({ index }) => !stays.has(index)),
  };
}

/** A uniform part of a uniform sample is one, too: takes away any until what is left is within limits. */
export function trim(
  held: readonly Held[],
  { maxSamples, maxBytes }: ReservoirLimits,
  random: Random,
): readonly Held[] {
  const left = [...held];
  let total = left.reduce((sum, { bytes }) => sum + bytes, 0);
  while (left.length > maxSamples || total > maxBytes) {
    const [gone] = left.splice(random(left.length), 1);
    total -= gone?.bytes ?? 0;
  }
  return left;
}
