// @ts-check
// One simulated device: the connection, the twin and the job machine of the agent itself over a state
// folder of its own. Put together as agent/daemon does, less what only a machine has.
import { join } from 'node:path';
import { built } from './built.js';
import { chance } from './chance.js';
import { modelNamed, reportOf } from './reports.js';
import { standInAgent, standInDownload } from './stand-in.js';

/** @type {typeof import('../../agent/fleet/device/device.ts')} */
const { startDevice } = await built('fleet/device/device');
/** @type {typeof import('../../agent/fleet/jobs/service.ts')} */
const { openJobService } = await built('fleet/jobs/service');
/** @type {typeof import('../../agent/fleet/broker-url.ts')} */
const { parseBrokerUrl } = await built('fleet/broker-url');
/** @type {typeof import('../../agent/fleet/protocol/outgoing.ts')} */
const { benchIdOf, benchMessage } = await built('fleet/protocol/outgoing');

/** @typedef {import('../../agent/contracts/release.ts').Release} Release */
/** @typedef {import('../../agent/contracts/bench.ts').BenchReport} BenchReport */
/** @typedef {import('../../agent/fleet/jobs/service.ts').JobService} JobService */
/** @typedef {import('../../agent/fleet/device/device.ts').Device} Device */
/** @typedef {import('./machines.js').Machine} Machine */

/**
 * @typedef {object} SimulatedOptions
 * @property {string} id
 * @property {Machine} machine
 * @property {string} state its folder
 * @property {string} url of the broker
 * @property {string} repository
 * @property {string} mirror the repository's folder
 * @property {number} workMs about as long as fitting takes
 * @property {(step: 'fit' | 'bench', version: string) => string | null} failure
 * @property {(step: 'download' | 'fit' | 'bench') => void} onStep
 * @property {(what: string, detail: unknown) => void} onWarning
 */

/**
 * @typedef {object} Simulated
 * @property {string} id
 * @property {Machine} machine
 * @property {Device} device
 * @property {JobService} jobs
 * @property {() => BenchReport} report what a benchmark would find now
 * @property {(report: BenchReport) => Promise<void>} tellBench
 * @property {() => Promise<void>} stop
 */

const DAY_MS = 86_400_000;
/** Thousands of devices share a processor here: an answer may take its time. */
const PATIENCE_MS = 60_000;
const CONNECT = {
  protocols: /** @type {(5 | 4)[]} */ ([5]),
  keepAliveSeconds: 300,
  expirySeconds: 7 * 86_400,
  timeoutMs: PATIENCE_MS,
  backoff: { minMs: 1000, maxMs: 30_000 },
};
const OUTBOX = { maxMessages: 1000, maxBytes: 1024 * 1024 };
const SITES = ['site-a', 'site-b', 'site-c', 'site-d'];

/** Where devices are. @param {string} id */
export function tagsOf(id) {
  return [SITES[Math.floor(chance('tags', id, 'site') * SITES.length)] ?? 'site-a'];
}

/**
 * Starts a device; it connects by itself. Throws FileError and system errors.
 * @param {SimulatedOptions} options
 * @returns {Promise<Simulated>}
 */
export async function openSimulated(options) {
  const { id, machine, state, url, onWarning } = options;
  const luck = chance('luck', id, 'board');
  const bootId = `boot-${id}`;
  const log = logTo(onWarning);
  /** @type {Device | null} */
  let device = null;
  const report = () => {
    const name = activeModel()?.name ?? 'kws';
    return reportOf(machine, modelNamed(name), { luck, sha256: activeModel()?.digest ?? '0' });
  };
  const activeModel = () => activeOf(device);
  const tellBench = async (/** @type {BenchReport} */ bench) => {
    await device?.twin.setLastBench(lastBenchOf(bench));
    await device?.session.publish(device.twin.message(new Date()));
    await device?.session.publish(benchMessage(id, bench));
  };
  const jobs = await openJobService({
    ...workOf({ ...options, luck }),
    deviceId: id,
    state,
    repository: options.repository,
    refreshMs: DAY_MS,
    program: '',
    env: {},
    moment: () => ({ ts: new Date().toISOString(), mono: Math.round(performance.now()), bootId }),
    deviceClass: async () => ['simulated', machine.id],
    conditions: async () => ({ celsius: 45, throttled: [], lockedBy: null }),
    health: null,
    onSwitched: async (_model, release) => {
      if (device === null) return;
      await device.twin.setActiveModel(release === null ? null : activeModelOf(release));
      await tellBench(report());
    },
    onBench: ({ report: bench }) => tellBench(bench),
    applySettings: async (settings) => {
      await device?.twin.setSettings(settings);
      await device?.session.republish();
    },
    diagnostics: async (lines) => ({ agent: 'simulated', log: [], lines }),
    publish: (message) => {
      void device?.session.publish(message);
    },
    onKeys: () => {
      void device?.session.republish();
    },
    log,
  });
  const { address, user, password } = parseBrokerUrl(url);
  device = await startDevice({
    connect: { ...CONNECT, broker: { address, user, password } },
    deviceId: id,
    agent: '0.1.0-simulated',
    bootId,
    state,
    outboxLimits: OUTBOX,
    facts: async () => machine.facts,
    tags: tagsOf(id),
    verify: jobs.verify,
    keyIds: jobs.keyIds,
    jobs: jobs.port,
    counters: jobs.counters,
    answers: () => ({}),
    onAnnouncement: () => void jobs.refresh(),
    onSettings: () => undefined,
    log,
  });
  jobs.start();
  const started = device;
  return {
    id,
    machine,
    device: started,
    jobs,
    report,
    tellBench,
    stop: async () => {
      await Promise.all([jobs.stop(), started.stop()]);
    },
  };
}

/**
 * What the twin says to run.
 * @param {Device | null} device
 * @returns {import('../../agent/contracts/fleet-twin.ts').ActiveModel | null}
 */
function activeOf(device) {
  if (device === null) return null;
  return JSON.parse(device.twin.message(new Date()).payload).activeModel;
}

/** The parts of the work that are not done here. @param {SimulatedOptions & { luck: number }} options */
function workOf({ workMs, luck, id, ...options }) {
  // No two boards take equally long.
  const standIn = { ...options, luck, workMs: workMs * (0.5 + chance('speed', id, 'fit')) };
  return { runAgent: standInAgent(standIn), download: standInDownload(standIn) };
}

/** @param {(what: string, detail: unknown) => void} onWarning */
function logTo(onWarning) {
  return {
    info: () => undefined,
    warn: (/** @type {object} */ fields, /** @type {string} */ message) =>
      onWarning(message, fields),
  };
}

/** @param {Release} release */
export function activeModelOf({ model, version, precision, digest, releaseCounter }) {
  return { name: model, version, precision, digest, releaseCounter };
}

/**
 * @param {BenchReport} report
 * @returns {NonNullable<import('../../agent/contracts/fleet-twin.ts').Twin['lastBench']>}
 */
export function lastBenchOf(report) {
  const row = report.candidates.find(({ id }) => id === report.chosen);
  const benchId = benchIdOf(report);
  return {
    benchId,
    digest: benchId.slice(-12),
    ts: new Date().toISOString(),
    p90Ms: row?.latencyMs?.p90 ?? null,
    accuracy:
      row === undefined || row.accuracy === null
        ? null
        : { metric: row.accuracy.metric, value: row.accuracy.value },
  };
}

/** Where the journal of a device lies. @param {string} state */
export function journalOf(state) {
  return join(state, 'jobs');
}
