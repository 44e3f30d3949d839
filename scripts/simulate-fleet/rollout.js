// @ts-check
// A rollout over the fleet by the real controller, watched from its beginning to its end.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { audit } from './audit.js';
import { startController } from './controller.js';
import { say } from './fleet.js';
import { openObserver } from './observer.js';
import { openOperator } from './operator.js';
import { ROLLOUT_ID } from './plan.js';
import { MODELS } from './reports.js';
import { NEW } from './site.js';

/** @typedef {import('./fleet.js').Fleet} Fleet */
/** @typedef {import('./options.js').Options} Options */
/** @typedef {import('./observer.js').Observer} Observer */
/** @typedef {import('./operator.js').Operator} Operator */
/** @typedef {import('./controller.js').Controller} Controller */

const LOOK_MS = 250;
const PROGRESS_MS = 5000;
/** Jobs that had begun when a rollout stopped go on to their end. */
const SETTLE_MS = 120_000;
const ROSTER_MS = 600_000;
/** How far the rollout is when its controller is killed. */
const KILL_AT = 0.3;

/** @param {Fleet} fleet @param {Options} options @returns {Promise<number>} exit code */
export async function rollOut(fleet, options) {
  const names = fleet.devices.map(({ id }) => id);
  const online = await timed(() => fleet.untilOnline());
  const observer = await openObserver(fleet.broker.url, names);
  const operator = await openOperator(fleet.broker.url, fleet.site, ROLLOUT_ID);
  const crew = await hire(fleet, operator, names.length);
  say(`the controller knows ${names.length} devices after ${crew.rosterSeconds.toFixed(1)} s`);
  const messagesBefore = observer.messages();
  const rollout = await timed(async () => {
    await operator.create(specOf(options));
    await untilOver({ fleet, operator, observer, crew, options, devices: names.length });
  });
  await settle(observer);
  const messages = observer.messages() - messagesBefore;
  const found = await audit({
    url: fleet.broker.url,
    folder: join(fleet.folder, 'devices'),
    devices: names,
    seen: observer.jobs,
  });
  for (const example of found.examples) say(`lost: ${example}`);
  const { state, counts, reason, waves } = must(operator);
  const tally = fleet.pool.tally();
  const result = {
    devices: names.length,
    completed: found.completed,
    failed: found.failed,
    stopped: state !== 'completed',
    lost: found.lost,
    seconds: rounded(rollout),
    messagesPerDevice: rounded(messages / names.length),
    controllerPeakRssBytes: Math.max(crew.peakRssBytes, crew.controller.peakRssBytes()),
    state,
    reason: reason?.text ?? null,
    counts,
    waves: waves.map(({ kind, state: waveState, counts: inWave }) => ({
      kind,
      state: waveState,
      counts: inWave,
    })),
    issuedTwice: found.issuedTwice,
    disconnected: tally.disconnected,
    restarted: tally.restarted,
    onlineSeconds: rounded(online),
    rosterSeconds: rounded(crew.rosterSeconds),
    rosterAgainSeconds: crew.rosterAgainSeconds,
    controllerCpuSeconds: rounded(crew.cpuSeconds + crew.controller.cpuSeconds()),
    devicesRssBytes: tally.rssBytes,
    brokerPeakRssBytes: fleet.broker.peakRssBytes(),
  };
  await crew.controller.kill();
  await Promise.all([observer.close(), operator.close()]);
  process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : summary(result));
  return found.lost === 0 ? 0 : 1;
}

/** @param {Options} options @returns {import('./operator.js').RolloutSpec} */
function specOf({ waves, canaryPerClass, soakSeconds, maxFailed, ratePerMinute }) {
  return {
    model: { name: MODELS[0]?.name ?? '', version: NEW },
    waves,
    canaryPerClass,
    soakSeconds,
    maxFailed,
    ratePerMinute,
  };
}

/**
 * The controller that works, and what former ones have used.
 * @typedef {object} Crew
 * @property {Controller} controller
 * @property {number} rosterSeconds until it knew every device
 * @property {number | null} rosterAgainSeconds the same of the one that came after a kill
 * @property {number} peakRssBytes
 * @property {number} cpuSeconds
 */

/** @param {Fleet} fleet @param {Operator} operator @param {number} devices @returns {Promise<Crew>} */
async function hire(fleet, operator, devices) {
  const started = Date.now();
  const controller = await startController(fleet);
  const rosterSeconds = await timed(() => untilItKnows(operator, controller, devices, started));
  return { controller, rosterSeconds, rosterAgainSeconds: null, peakRssBytes: 0, cpuSeconds: 0 };
}

/** Kills the controller in the middle and has another take over its state. @param {Crew} crew @param {Fleet} fleet @param {Operator} operator @param {number} devices */
async function replaceController(crew, fleet, operator, devices) {
  const former = { rss: crew.controller.peakRssBytes(), cpu: crew.controller.cpuSeconds() };
  await crew.controller.kill();
  const next = await hire(fleet, operator, devices);
  say(`the controller was killed; the next knows all after ${next.rosterSeconds.toFixed(1)} s`);
  Object.assign(crew, {
    controller: next.controller,
    rosterAgainSeconds: rounded(next.rosterSeconds),
    peakRssBytes: Math.max(crew.peakRssBytes, former.rss),
    cpuSeconds: crew.cpuSeconds + former.cpu,
  });
}

/** @param {Operator} operator @param {Controller} controller @param {number} devices @param {number} startedMs */
async function untilItKnows(operator, controller, devices, startedMs) {
  const deadline = performance.now() + ROSTER_MS;
  for (;;) {
    const status = operator.controller();
    const isNew = status !== null && Date.parse(status.since) >= startedMs;
    if (isNew && status.state === 'leading' && (status.devices ?? 0) >= devices) return;
    if (performance.now() > deadline) {
      throw new Error(`the controller knows ${status?.devices ?? 0} of ${devices} devices`);
    }
    // oxlint-disable-next-line no-await-in-loop -- polling with a deadline
    await Promise.race([sleep(LOOK_MS), controller.failed]);
  }
}

/**
 * @typedef {object} Watch
 * @property {Fleet} fleet
 * @property {Operator} operator
 * @property {Observer} observer
 * @property {Crew} crew
 * @property {Options} options
 * @property {number} devices
 */

/** @param {Watch} watch */
async function untilOver({ fleet, operator, observer, crew, options, devices }) {
  const deadline = performance.now() + options.timeoutSeconds * 1000;
  let told = performance.now();
  let isKillDue = options.restartController;
  while (!['completed', 'paused', 'aborted'].includes(operator.rollout()?.state ?? '')) {
    const { issued } = observer.counts();
    if (performance.now() > deadline) throw new Error(`not over in time: ${progress(operator)}`);
    if (isKillDue && issued >= devices * KILL_AT) {
      isKillDue = false;
      // oxlint-disable-next-line no-await-in-loop -- once
      await replaceController(crew, fleet, operator, devices);
    }
    if (performance.now() - told > PROGRESS_MS) {
      told = performance.now();
      say(progress(operator));
    }
    // oxlint-disable-next-line no-await-in-loop -- polling with a deadline
    await Promise.race([sleep(LOOK_MS), fleet.pool.failed, crew.controller.failed]);
  }
  say(progress(operator));
}

/** @param {Operator} operator */
function progress(operator) {
  const rollout = operator.rollout();
  if (rollout === null) return 'nothing is heard of the rollout';
  const { state, wave, waves, counts, reason } = rollout;
  const { open, pending, succeeded, failed } = counts;
  const at = wave === null ? '' : `, wave ${wave + 1} of ${waves.length}`;
  const why = reason === null ? '' : ` (${reason.text})`;
  return `${state}${why}${at}: ${succeeded} succeeded, ${failed} failed, ${open} open, ${pending} to come`;
}

/** @param {Observer} observer */
async function settle(observer) {
  const deadline = performance.now() + SETTLE_MS;
  while (observer.counts().open > 0 && performance.now() < deadline) {
    // oxlint-disable-next-line no-await-in-loop -- polling with a deadline
    await sleep(LOOK_MS);
  }
  // What was told last is on its way to the controller, and its answer to the devices.
  await sleep(PROGRESS_MS / 2);
}

/** @param {Operator} operator */
function must(operator) {
  const rollout = operator.rollout();
  if (rollout === null) throw new Error('the controller never told of the rollout');
  return rollout;
}

/** Seconds. @param {() => Promise<unknown>} work */
async function timed(work) {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

/** @param {number} value */
function rounded(value) {
  return Math.round(value * 100) / 100;
}

/** @param {Readonly<Record<string, unknown>>} result */
function summary(result) {
  return Object.entries(result)
    .map(([name, value]) => `${name.padEnd(24)}${JSON.stringify(value)}\n`)
    .join('');
}
