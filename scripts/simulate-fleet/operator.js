// @ts-check
// Whoever asks for a rollout and watches it: signed commands, and what the controller says.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectAsync } from 'mqtt';
import { CONTROLLER_ID } from './controller.js';

/** @typedef {import('../../agent/contracts/rollout.ts').Rollout} Rollout */
/** @typedef {import('../../agent/contracts/rollout.ts').RolloutSpecInput} RolloutSpec */
/** @typedef {import('../../agent/contracts/rollout.ts').ControllerStatus} ControllerStatus */
/** @typedef {import('./site.js').Site} Site */

/**
 * @typedef {object} Operator
 * @property {() => ControllerStatus | null} controller
 * @property {() => Rollout | null} rollout
 * @property {(spec: RolloutSpec) => Promise<void>} create makes a rollout and approves it
 * @property {() => Promise<void>} close
 */

const ROOT = 'edgefit/v1';
const ANSWER_MS = 60_000;
const LOOK_MS = 50;

/** @param {string} url @param {Site} site @param {string} rolloutId @returns {Promise<Operator>} */
export async function openOperator(url, site, rolloutId) {
  const client = await connectAsync(url, { reconnectPeriod: 0, protocolVersion: 5 });
  /** @type {Map<string, any>} */
  const last = new Map();
  client.on('message', (topic, payload) => {
    if (payload.length > 0) last.set(topic, JSON.parse(payload.toString()));
  });
  const state = `${ROOT}/r/${rolloutId}/state`;
  const status = `${ROOT}/c/${CONTROLLER_ID}/status`;
  await client.subscribeAsync([state, status, `${ROOT}/r/${rolloutId}/rsp/+`], { qos: 1 });
  return {
    controller: () => last.get(status) ?? null,
    rollout: () => last.get(state) ?? null,
    create: async (spec) => {
      const requestId = randomUUID();
      const command = site.signed({
        type: 'rollout',
        deviceId: rolloutId,
        counter: Date.now(),
        command: 'create',
        requestId,
        actor: 'simulation',
        spec,
        approve: true,
      });
      await client.publishAsync(`${ROOT}/r/${rolloutId}/cmd/${requestId}`, command, { qos: 1 });
      const answer = await answerAt(`${ROOT}/r/${rolloutId}/rsp/${requestId}`, last);
      if (answer.ok !== true) {
        throw new Error(`the controller refuses the rollout: ${answer.error?.text ?? ''}`);
      }
    },
    close: () => client.endAsync(true),
  };
}

/** @param {string} topic @param {ReadonlyMap<string, any>} last */
async function answerAt(topic, last) {
  const deadline = performance.now() + ANSWER_MS;
  while (performance.now() < deadline) {
    if (last.has(topic)) return last.get(topic);
    // oxlint-disable-next-line no-await-in-loop -- polling with a deadline
    await sleep(LOOK_MS);
  }
  throw new Error('the controller does not answer');
}
