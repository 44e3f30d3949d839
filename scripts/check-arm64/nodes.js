// @ts-check
// Newer Node.js on an emulated core: it starts, and the agent reads the machine.
import { join } from 'node:path';
import { same } from './compare.js';
import { CORES } from './cores.js';
import { fetchNode, makeEmulator } from './emulator.js';
import { agentJson } from './work.js';

/**
 * @typedef {object} Setting
 * @property {string} cache
 * @property {string} folder for what is made
 * @property {string} home the installed package
 * @property {Awaited<ReturnType<typeof import('./emulator.js').fetchEmulator>>} emulator
 * @property {import('./schemas.js').Schemas} schemas
 */

/**
 * @param {readonly string[]} versions
 * @param {Setting} setting
 */
export async function nodeChecks(versions, setting) {
  const checks = [];
  for (const version of versions) {
    // oxlint-disable-next-line no-await-in-loop -- a few seconds each
    checks.push(...(await nodeCheck(version, setting)));
  }
  return checks;
}

/**
 * @param {string} version
 * @param {Setting} setting
 */
async function nodeCheck(version, { cache, folder, home, emulator, schemas }) {
  const core = CORES.at(-1);
  if (core === undefined) throw new Error('no core is emulated');
  const program = await fetchNode(version, cache);
  const { node } = await makeEmulator(join(folder, `node-${version}`), core, {
    ...emulator,
    node: program,
  });
  const running = (await node(['--version'])).trim();
  const facts = schemas.facts.parse(await agentJson(node, home, ['probe']));
  return [
    same(`Node.js ${running}: probe names`, facts.cpu.model, core.name),
    same(`Node.js ${running}: features`, facts.cpu.features.toSorted(), core.features),
  ].map((check) => ({ ...check, core: core.cpu }));
}
