// @ts-check
/**
 * @typedef {object} Platform
 * @property {'amd64' | 'arm64'} debian Debian's name
 * @property {'x64' | 'arm64'} cpu npm's name
 * @property {number} elfMachine e_machine of its programs
 * @property {string} triplet prefix of its binutils
 */

/** @type {Readonly<Record<'amd64' | 'arm64', Platform>>} */
export const PLATFORMS = {
  amd64: { debian: 'amd64', cpu: 'x64', elfMachine: 62, triplet: 'x86_64-linux-gnu' },
  arm64: { debian: 'arm64', cpu: 'arm64', elfMachine: 183, triplet: 'aarch64-linux-gnu' },
};

/**
 * @param {string} name
 * @returns {Platform}
 */
export function platformOf(name) {
  if (name === 'amd64' || name === 'arm64') return PLATFORMS[name];
  throw new Error(`no platform ${name}; there are ${Object.keys(PLATFORMS).join(' ')}`);
}
