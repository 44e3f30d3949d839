// @ts-check
// Chances that depend on a seed and a name only: the same in every process and every run.
import { createHash } from 'node:crypto';

/** In [0, 1). @param {string} seed @param {string} name @param {string} what */
export function chance(seed, name, what) {
  const digest = createHash('sha256')
    .update(JSON.stringify([seed, name, what]))
    .digest();
  return digest.readUInt32BE(0) / 2 ** 32;
}

/**
 * Exactly `count` of the names, any of them.
 * @param {string} seed
 * @param {string} what
 * @param {number} count
 * @param {readonly string[]} names
 * @returns {ReadonlySet<string>}
 */
export function choose(seed, what, count, names) {
  const drawn = names
    .map((name) => ({ name, at: chance(seed, name, what) }))
    .toSorted((a, b) => a.at - b.at);
  return new Set(drawn.slice(0, count).map(({ name }) => name));
}

/** Names numbered from 1, all of one length. @param {number} count */
export function deviceNames(count) {
  const digits = Math.max(5, String(count).length);
  return Array.from({ length: count }, (_, at) => `sim-${String(at + 1).padStart(digits, '0')}`);
}
