// @ts-check
// What the broker was given and told, against what the devices have in their journals.
import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { chunks } from './observer.js';

/** @typedef {import('./observer.js').SeenJobs} SeenJobs */
/** @typedef {import('./observer.js').Seen} Seen */
/** @typedef {ReadonlyMap<string, ReadonlySet<string>>} Retained topics' jobs by device */

/**
 * @typedef {object} Audit
 * @property {number} jobs that somebody knows of
 * @property {number} completed
 * @property {number} failed
 * @property {number} open
 * @property {number} lost
 * @property {number} issuedTwice
 * @property {readonly string[]} examples of what is lost, a few
 */

/** A job or two each: far below the 1,000 messages that a broker queues for one client. */
const DEVICES_AT_ONCE = 100;
const FILES_AT_ONCE = 64;
const BARRIER_MS = 30_000;
const MAX_EXAMPLES = 5;
const OPEN = ['QUEUED', 'IN_PROGRESS'];

/**
 * A job is lost when one side has it and the other does not: a document that is retained at the broker
 * or was never taken away and is not in the journal, a journal entry that nobody gave, an end that
 * either side does not know, or knows differently.
 * @param {{ url: string, folder: string, devices: readonly string[], seen: SeenJobs }} options
 * @returns {Promise<Audit>}
 */
export async function audit({ url, folder, devices, seen }) {
  const retained = await readRetained(url, devices);
  const audited = { jobs: 0, completed: 0, failed: 0, open: 0, lost: 0, issuedTwice: 0 };
  /** @type {string[]} */
  const examples = [];
  for (const some of chunks(devices, FILES_AT_ONCE)) {
    // oxlint-disable-next-line no-await-in-loop -- a bounded number of files at a time
    const journals = await Promise.all(some.map((id) => readJournal(join(folder, id, 'jobs'))));
    for (const [at, id] of some.entries()) {
      const kept = journals[at] ?? new Map();
      const known = seen.get(id) ?? new Map();
      const jobIds = new Set([...kept.keys(), ...known.keys(), ...(retained.get(id) ?? [])]);
      for (const jobId of jobIds) {
        const status = kept.get(jobId);
        const isRetained = retained.get(id)?.has(jobId) === true;
        const why = whyLost(status, known.get(jobId), isRetained);
        audited.jobs += 1;
        if (status === 'SUCCEEDED') audited.completed += 1;
        else if (status !== undefined && !OPEN.includes(status)) audited.failed += 1;
        else audited.open += 1;
        if ((known.get(jobId)?.issued ?? 0) > 1) audited.issuedTwice += 1;
        if (why !== null) audited.lost += 1;
        if (why !== null && examples.length < MAX_EXAMPLES) examples.push(`${id} ${jobId}: ${why}`);
      }
    }
  }
  return { ...audited, examples };
}

/**
 * Null when both sides agree.
 * @param {string | undefined} kept status in the journal
 * @param {Seen | undefined} seen
 * @param {boolean} isRetained the document is at the broker now
 */
export function whyLost(kept, seen, isRetained) {
  const wasGiven = isRetained || (seen?.issued ?? 0) > 0;
  if (kept === undefined) {
    if (seen?.isRefusal === true) return null;
    if (seen !== undefined && seen.end !== null) return `ended as ${seen.end} and is in no journal`;
    // Taken back before the device took it.
    return isRetained || seen?.cleared !== true ? 'given and in no journal' : null;
  }
  if (!wasGiven) return 'in the journal and never given';
  const end = OPEN.includes(kept) ? null : kept;
  const told = seen?.end ?? null;
  return end === told ? null : `${kept} in the journal, ${told ?? 'no end'} at the broker`;
}

/** Statuses by job. @param {string} folder @returns {Promise<ReadonlyMap<string, string>>} */
async function readJournal(folder) {
  const names = await readdir(folder).catch(() => []);
  const entries = names
    .filter((name) => name.endsWith('.json') && !name.startsWith('.'))
    .map(async (name) => {
      const { record } = JSON.parse(await readFile(join(folder, name), 'utf8'));
      return /** @type {const} */ ([name.slice(0, -'.json'.length), String(record.status)]);
    });
  return new Map(await Promise.all(entries));
}

/**
 * The jobs whose documents are at the broker now. A message of our own comes after what was retained,
 * and so says that all of it is there.
 * @param {string} url
 * @param {readonly string[]} devices
 * @returns {Promise<Retained>}
 */
async function readRetained(url, devices) {
  const client = await connectAsync(url, { reconnectPeriod: 0, protocolVersion: 5 });
  /** @type {Map<string, Set<string>>} */
  const found = new Map();
  const barrier = `simulation/${randomUUID()}`;
  client.on('message', (topic, _payload, packet) => {
    const [, , , id = '', direction, , jobId = ''] = topic.split('/');
    if (!packet.retain || direction !== 'dn') return;
    found.set(id, (found.get(id) ?? new Set()).add(jobId));
  });
  await client.subscribeAsync(barrier, { qos: 1 });
  for (const some of chunks(devices, DEVICES_AT_ONCE)) {
    const filters = some.map((id) => `edgefit/v1/d/${id}/dn/job/+`);
    // oxlint-disable-next-line no-await-in-loop -- a bounded number of messages at a time
    await client.subscribeAsync(filters, { qos: 1 });
    const passed = arrival(client, barrier);
    // oxlint-disable-next-line no-await-in-loop -- see above
    await Promise.all([client.publishAsync(barrier, '', { qos: 1 }), passed]);
    // oxlint-disable-next-line no-await-in-loop -- see above
    await client.unsubscribeAsync(filters);
  }
  await client.endAsync();
  return found;
}

/** When a message of that topic comes. @param {import('mqtt').MqttClient} client @param {string} wanted */
function arrival(client, wanted) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error('the broker does not answer the audit'));
    }, BARRIER_MS);
    const look = (/** @type {string} */ topic) => {
      if (topic !== wanted) return;
      client.off('message', look);
      clearTimeout(timer);
      resolve(undefined);
    };
    client.on('message', look);
  });
}
