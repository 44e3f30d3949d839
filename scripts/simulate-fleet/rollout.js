// @ts-check
// A rollout over the fleet by the real controller.

/**
 * @param {import('./fleet.js').Fleet} fleet
 * @param {import('./options.js').Options} _options
 * @returns {Promise<number>} exit code
 */
export async function rollOut(fleet, _options) {
  await fleet.untilOnline();
  throw new Error('there is no controller yet: use --serve');
}
