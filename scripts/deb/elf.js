// @ts-check
// What a native file says of itself: its machine, and the newest glibc and libstdc++ it asks for.

/** @type {ReadonlyArray<readonly [symbols: number, gcc: number]>} GLIBCXX_3.4.N -> first GCC with it */
const LIBSTDCXX = [
  [24, 7],
  [25, 8],
  [28, 9],
  [29, 11],
  [30, 12],
  [32, 13],
  [33, 14],
];

/**
 * @param {Uint8Array} bytes
 * @returns {number | null} e_machine, or null for what is no 64-bit little-endian ELF file
 */
export function elfMachine(bytes) {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 20));
  const isElf = head.length === 20 && head.toString('latin1', 0, 4) === '\x7fELF';
  return isElf && head[4] === 2 && head[5] === 1 ? head.readUInt16LE(18) : null;
}

/**
 * Symbol versions are plain text in an ELF file, each ended by a zero byte.
 * @param {Uint8Array} bytes
 * @returns {{ glibcMinor: number, glibcxx: number }} N of the highest GLIBC_2.N and GLIBCXX_3.4.N
 */
export function neededVersions(bytes) {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  return {
    glibcMinor: highest(text, /\0GLIBC_2\.(\d+)(?:\.\d+)?(?=\0)/g),
    glibcxx: highest(text, /\0GLIBCXX_3\.4\.(\d+)(?=\0)/g),
  };
}

/**
 * @param {string} text
 * @param {RegExp} pattern
 */
function highest(text, pattern) {
  let most = 0;
  for (const match of text.matchAll(pattern)) most = Math.max(most, Number(match[1]));
  return most;
}

/**
 * @param {number} glibcxx N of GLIBCXX_3.4.N
 * @returns {number} the GCC whose libstdc++6 has it first
 */
export function libstdcxxOf(glibcxx) {
  const found = LIBSTDCXX.find(([symbols]) => glibcxx <= symbols);
  if (found === undefined) throw new Error(`GLIBCXX_3.4.${glibcxx} is newer than this table`);
  return found[1];
}
