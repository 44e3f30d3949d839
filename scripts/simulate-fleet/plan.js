// @ts-check
// What will happen to which device: decided before anything starts, by the seed.
import { built } from './built.js';
import { choose, deviceNames } from './chance.js';
import { machineOf } from './machines.js';
import { MODELS } from './reports.js';
import { modelOf } from './serve.js';

/** @type {typeof import('../../agent/fleet/rollouts/plan.ts')} */
const { makePlan } = await built('fleet/rollouts/plan');
/** @type {typeof import('../../agent/fleet/roster/row.ts')} */
const { emptyRow } = await built('fleet/roster/row');
/** @type {typeof import('../../agent/contracts/rollout.ts')} */
const { rolloutSpecSchema } = await built('contracts/rollout');

/** @typedef {import('./options.js').Options} Options */
/** @typedef {import('./worker.js').PlannedDevice} PlannedDevice */

export const ROLLOUT_ID = 'simulated';
/** Of a fleet that is only served. */
const SERVED_FAIL_PERCENT = 10;

/** @param {Options} options @returns {readonly PlannedDevice[]} */
export function planDevices(options) {
  const { devices, seed, serve } = options;
  const names = deviceNames(devices);
  const share = (/** @type {number} */ percent) => Math.round((devices * percent) / 100);
  const failing = serve
    ? choose(seed, 'fails', share(SERVED_FAIL_PERCENT), names)
    : failingOf(names, share(options.failPercent), options);
  const disconnected = serve ? 0 : share(options.disconnectPercent);
  const restarted = serve ? 0 : share(options.restartPercent);
  const unlucky = [...choose(seed, 'mishap', disconnected + restarted, names)];
  return names.map((id) => ({
    id,
    model: serve ? modelOf(id) : (MODELS[0]?.name ?? 'kws'),
    fails: failing.has(id),
    mishap: mishapOf(unlucky.indexOf(id), disconnected),
  }));
}

/** @param {number} at @param {number} disconnected @returns {PlannedDevice['mishap']} */
function mishapOf(at, disconnected) {
  if (at === -1) return null;
  return at < disconnected ? 'disconnect' : 'restart';
}

/**
 * Any devices, but one canary of each class stays well as long as others can fail instead: a rollout
 * stops when all canaries of a class fail, and it is the share of failures that is tried here.
 * @param {readonly string[]} names
 * @param {number} count
 * @param {Options} options
 * @returns {ReadonlySet<string>}
 */
export function failingOf(names, count, { seed, waves, canaryPerClass }) {
  const spec = rolloutSpecSchema.parse({
    model: { name: 'any', version: '1' },
    waves,
    canaryPerClass,
  });
  const rows = names.map((id) => ({
    ...emptyRow(id),
    state: /** @type {const} */ ('online'),
    class: machineOf(id).id,
    jobTypes: ['deploy'],
    keyIds: [''],
  }));
  const others = { holder: () => null };
  const { executions } = makePlan({ rolloutId: ROLLOUT_ID, spec, rows, others, keyId: '' });
  /** @type {Map<string, string>} */
  const spared = new Map();
  for (const { deviceId, wave } of executions) {
    if (wave === 0 && canaryPerClass > 0) spared.set(machineOf(deviceId).id, deviceId);
  }
  const well = new Set(spared.values());
  const order = [...choose(seed, 'fails', names.length, names)];
  const rest = order.filter((id) => !well.has(id));
  return new Set([...rest, ...well].slice(0, count));
}
