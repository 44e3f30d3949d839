// @ts-check

/**
 * What is there by construction; the compiler cannot know. Throws when it is not.
 * @template T
 * @param {T | null | undefined} value
 * @param {string} what
 * @returns {T}
 */
export function must(value, what) {
  if (value !== null && value !== undefined) return value;
  throw new Error(`${what} is missing`);
}
