// @ts-check
// A rollout over the fleet, watched from its beginning to its end.
import { setTimeout as sleep } from 'node:timers/promises';
import { connectAsync } from 'mqtt';
import { audit } from './audit.js';
import { say } from './fleet.js';
import { openObserver } from './observer.js';
import { NEW, releaseCounterOf } from './site.js';

/** @typedef {import('./fleet.js').Fleet} Fleet */
/** @typedef {import('./options.js').Options} Options */
/** @typedef {import('./observer.js').Observer} Observer */

const LOOK_MS = 500;
const PROGRESS_MS = 5000;

/** @param {Fleet} fleet @param {Options} options @returns {Promise<number>} exit code */
export async function rollOut(fleet, options) {
  const { broker, devices } = fleet;
  const began = performance.now();
  await fleet.untilOnline();
  const onlineSeconds = (performance.now() - began) / 1000;
  const names = devices.map(({ id }) => id);
  const observer = await openObserver(broker.url, names);
  await sleep(2000);
  const before = observer.messages();
  const start = performance.now();
  await handOutDirectly(fleet);
  await untilEnded(observer, names.length, options);
  const seconds = (performance.now() - start) / 1000;
  await sleep(2000);
  const found = await audit({
    url: broker.url,
    folder: `${fleet.folder}/devices`,
    devices: names,
    seen: observer.jobs,
  });
  process.stdout.write(
    `${JSON.stringify({ ...found, seconds, onlineSeconds, messages: observer.messages() - before, ...fleet.pool.tally() })}\n`,
  );
  return 0;
}

/** @param {Fleet} fleet */
async function handOutDirectly({ broker, site, devices }) {
  const client = await connectAsync(broker.url, { reconnectPeriod: 0 });
  for (const { id, model } of devices) {
    const document = site.signed({
      type: 'job',
      jobId: 'direct',
      jobType: 'deploy',
      deviceId: id,
      counter: Date.now(),
      model: { name: model, version: NEW, releaseCounter: releaseCounterOf(NEW) },
    });
    const topic = `edgefit/v1/d/${id}/dn/job/direct`;
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    await client.publishAsync(topic, document, { qos: 1, retain: true });
  }
  await client.endAsync();
}

/** @param {Observer} observer @param {number} wanted @param {Options} options */
async function untilEnded(observer, wanted, { timeoutSeconds }) {
  const deadline = performance.now() + timeoutSeconds * 1000;
  let told = 0;
  for (;;) {
    const counts = observer.counts();
    if (counts.succeeded + counts.failed >= wanted) return;
    if (performance.now() > deadline) throw new Error(`not in time: ${JSON.stringify(counts)}`);
    if (performance.now() - told > PROGRESS_MS) {
      told = performance.now();
      say(JSON.stringify(counts));
    }
    // oxlint-disable-next-line no-await-in-loop -- polling with a deadline
    await sleep(LOOK_MS);
  }
}
