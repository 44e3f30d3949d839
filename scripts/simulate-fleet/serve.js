// @ts-check
// A fleet that stays: for a dashboard, or for trying commands by hand.
import { setTimeout as sleep } from 'node:timers/promises';
import { connectAsync } from 'mqtt';
import { chance } from './chance.js';
import { MODELS } from './reports.js';
import { NEW, releaseCounterOf } from './site.js';

/** @typedef {import('./site.js').Site} Site */
/** @typedef {import('./worker.js').PlannedDevice} PlannedDevice */

/** Of the devices, how many get a job of each kind at the start. */
const [DEPLOY_SHARE, SELFCHECK_SHARE] = [0.3, 0.05];
/** Jobs handed out at once, and the pause until the next: a board needs its time, too. */
const [BATCH, PAUSE_MS] = [20, 250];

/** Which model a device has. @param {string} id */
export function modelOf(id) {
  const at = chance('model', id, 'first');
  const [first, second, third] = MODELS;
  return (at < 0.6 ? first : at < 0.85 ? second : third)?.name ?? 'kws';
}

/**
 * Gives some of the devices something to do, so that there are records to look at.
 * @param {string} url
 * @param {Site} site
 * @param {readonly PlannedDevice[]} devices
 */
export async function issueJobs(url, site, devices) {
  const client = await connectAsync(url, { reconnectPeriod: 0 });
  let issued = 0;
  for (const { id, model } of devices) {
    const job = jobFor(id, model);
    if (job !== null) {
      const jobId = `${job.jobType}-1`;
      const document = site.signed({
        type: 'job',
        jobId,
        deviceId: id,
        counter: Date.now(),
        ...job,
      });
      const topic = `edgefit/v1/d/${id}/dn/job/${jobId}`;
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await client.publishAsync(topic, document, { qos: 1, retain: true });
      issued += 1;
      // oxlint-disable-next-line no-await-in-loop -- see above
      if (issued % BATCH === 0) await sleep(PAUSE_MS);
    }
  }
  await client.endAsync();
  return issued;
}

/** @param {string} id @param {string} name */
function jobFor(id, name) {
  const at = chance('serve', id, 'job');
  if (at < DEPLOY_SHARE) {
    const model = { name, version: NEW, releaseCounter: releaseCounterOf(NEW) };
    return { jobType: 'deploy', model };
  }
  return at < DEPLOY_SHARE + SELFCHECK_SHARE ? { jobType: 'selfcheck' } : null;
}
