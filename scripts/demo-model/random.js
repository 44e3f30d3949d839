/**
 * A small seeded generator (mulberry32). Everything the demo model is made of comes from it, so it
 * uses integer arithmetic only and gives the same numbers on every machine.
 */

/**
 * @param {number} seed any 32-bit integer
 * @returns {() => number} uniform numbers in [0, 1)
 */
export function randomSource(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * A seed for item `index` of the stream `seed`; neighbours are unrelated.
 * @param {number} seed
 * @param {number} index
 */
export function seedOf(seed, index) {
  let mixed = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x7feb352d);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/**
 * @param {() => number} random
 * @param {number} low
 * @param {number} high
 */
export function between(random, low, high) {
  return low + (high - low) * random();
}

/**
 * Roughly normal (mean 0, deviation 1): the sum of four uniforms, which needs no logarithm.
 * @param {() => number} random
 */
export function bell(random) {
  return (random() + random() + random() + random() - 2) * Math.sqrt(3);
}
