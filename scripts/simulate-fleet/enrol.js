// @ts-check
// The state folder that a device of each kind has before anything begins: enrolled with the root of
// trust, and with the first release of a model, which its own job machine has brought there.
import { copyFile, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { built } from './built.js';
import { activeModelOf, lastBenchOf } from './device.js';
import { MACHINES } from './machines.js';
import { modelNamed, reportOf } from './reports.js';
import { OLD, releaseCounterOf } from './site.js';
import { standInAgent, standInDownload } from './stand-in.js';

/** @type {typeof import('../../agent/fleet/jobs/service.ts')} */
const { openJobService } = await built('fleet/jobs/service');
/** @type {typeof import('../../agent/fleet/device/twin.ts')} */
const { openTwin } = await built('fleet/device/twin');

/** @typedef {import('./machines.js').Machine} Machine */
/** @typedef {import('./site.js').Site} Site */

const LIMIT_MS = 60_000;

/** Where the template of a kind lies. @param {string} folder @param {string} machine @param {string} model */
export const templateOf = (folder, machine, model) => join(folder, 'templates', machine, model);

/** @param {string} folder @param {Site} site @param {readonly string[]} models that devices have */
export async function makeTemplates(folder, site, models) {
  await Promise.all(
    MACHINES.flatMap((machine) =>
      models.map((name) => makeTemplate(templateOf(folder, machine.id, name), machine, name, site)),
    ),
  );
}

/**
 * @param {string} state
 * @param {Machine} machine
 * @param {string} model
 * @param {Site} site
 */
async function makeTemplate(state, machine, model, site) {
  const deviceId = `template-${machine.id}`;
  await mkdir(join(state, 'tuf'), { recursive: true });
  await copyFile(site.rootFile, join(state, 'tuf', 'root.json'));
  /** @type {{ release: import('../../agent/contracts/release.ts').Release | null, status: string }} */
  const end = { release: null, status: '' };
  const luck = 0.5;
  const standIn = {
    machine,
    luck,
    mirror: site.mirror,
    repository: site.url,
    workMs: 0,
    failure: () => null,
    onStep: () => undefined,
  };
  const jobs = await openJobService({
    deviceId,
    state,
    repository: site.url,
    refreshMs: LIMIT_MS * 60,
    program: '',
    env: {},
    runAgent: standInAgent(standIn),
    download: standInDownload(standIn),
    moment: () => ({ ts: new Date().toISOString(), mono: 0, bootId: null }),
    deviceClass: async () => ['simulated', machine.id],
    conditions: async () => ({ celsius: null, throttled: [], lockedBy: null }),
    health: null,
    onSwitched: async (_model, release) => {
      end.release = release;
    },
    onBench: async () => undefined,
    applySettings: async () => undefined,
    diagnostics: async () => ({}),
    publish: ({ payload }) => {
      end.status = JSON.parse(payload).status;
    },
    onKeys: () => undefined,
    log: { info: () => undefined, warn: () => undefined },
  });
  jobs.start();
  await jobs.refresh();
  const job = site.signed({
    type: 'job',
    jobType: 'deploy',
    jobId: 'first',
    deviceId,
    counter: 1,
    model: { name: model, version: OLD, releaseCounter: releaseCounterOf(OLD) },
  });
  const refusal = await jobs.port.onJob('first', JSON.parse(job));
  if (refusal !== null) throw new Error(`a template cannot be made: ${refusal.why}`);
  await untilEnded(end);
  await jobs.stop();
  if (end.release === null) throw new Error(`a template cannot be made: the job is ${end.status}`);
  const twin = await openTwin({
    state,
    deviceId,
    verify: jobs.verify,
    warn: () => undefined,
  });
  await twin.setActiveModel(activeModelOf(end.release));
  const { digest: sha256 } = end.release;
  await twin.setLastBench(lastBenchOf(reportOf(machine, modelNamed(model), { luck, sha256 })));
  // It is of another device.
  await rm(join(state, 'jobs'), { recursive: true });
}

/** @param {{ status: string }} end */
async function untilEnded(end) {
  const deadline = Date.now() + LIMIT_MS;
  while (['', 'QUEUED', 'IN_PROGRESS'].includes(end.status)) {
    if (Date.now() > deadline) throw new Error('a template was not made in time');
    // oxlint-disable-next-line no-await-in-loop -- polling with a deadline
    await sleep(20);
  }
}
