// @ts-check
// The broker's side: every job that it was given and every end of one that it was told, whoever else
// listens. Each client reads the topics of some devices only, so that no queue of a broker with its
// default limits overflows.
import { connectAsync } from 'mqtt';

/**
 * @typedef {object} Seen of one job
 * @property {number} issued times that a document came
 * @property {boolean} cleared the document was taken away
 * @property {string | null} end the terminal status, once one was told
 * @property {boolean} isRefusal it was refused before it became a job
 * @property {string | null} rolloutId
 */

/** @typedef {ReadonlyMap<string, ReadonlyMap<string, Seen>>} SeenJobs by device and job */

/**
 * @typedef {object} Observer
 * @property {SeenJobs} jobs
 * @property {() => { issued: number, open: number, succeeded: number, failed: number }} counts
 * @property {() => number} messages from and to the devices so far
 * @property {() => Promise<void>} close
 */

const DEVICES_PER_CLIENT = 500;
const FILTERS_PER_PACKET = 200;
/** Retain handling of MQTT 5: only what comes from now on. */
const NOT_WHAT_IS_RETAINED = 2;
const OPEN = ['QUEUED', 'IN_PROGRESS'];
const TOPIC = /^edgefit\/v1\/d\/([^/]+)\/(up|dn)\/job\/([^/]+)$/;

/** @param {string} url @param {readonly string[]} devices @returns {Promise<Observer>} */
export async function openObserver(url, devices) {
  /** @type {Map<string, Map<string, Seen>>} */
  const jobs = new Map();
  let messages = 0;
  /** @param {string} topic @param {Buffer} payload */
  const onMessage = (topic, payload) => {
    messages += 1;
    const [, device = '', direction = '', job = ''] = TOPIC.exec(topic) ?? [];
    if (device !== '') note(seenOf(jobs, device, job), direction, payload);
  };
  const groups = chunks(devices, DEVICES_PER_CLIENT);
  const clients = await Promise.all(
    groups.map((group) => listen(url, filtersOf(group), onMessage)),
  );
  return {
    jobs,
    counts: () => countsOf(jobs),
    messages: () => messages,
    close: async () => {
      await Promise.all(clients.map((client) => client.endAsync(true)));
    },
  };
}

/** Everything from and to some devices. @param {readonly string[]} devices */
function filtersOf(devices) {
  return devices.flatMap((id) => [`edgefit/v1/d/${id}/dn/#`, `edgefit/v1/d/${id}/up/#`]);
}

/** @template T @param {readonly T[]} items @param {number} size */
export function chunks(items, size) {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, at) => items.slice(at * size, (at + 1) * size));
}

/**
 * @param {string} url
 * @param {readonly string[]} filters
 * @param {(topic: string, payload: Buffer) => void} onMessage
 */
async function listen(url, filters, onMessage) {
  const client = await connectAsync(url, {
    reconnectPeriod: 0,
    protocolVersion: 5,
    keepalive: 300,
  });
  client.on('message', onMessage);
  for (const some of chunks(filters, FILTERS_PER_PACKET)) {
    // oxlint-disable-next-line no-await-in-loop -- packets of a bounded size
    await client.subscribeAsync([...some], { qos: 1, rh: NOT_WHAT_IS_RETAINED });
  }
  return client;
}

/** @param {Map<string, Map<string, Seen>>} jobs @param {string} device @param {string} job */
function seenOf(jobs, device, job) {
  const ofDevice = jobs.get(device) ?? new Map();
  jobs.set(device, ofDevice);
  /** @type {Seen} */
  const seen = ofDevice.get(job) ?? {
    issued: 0,
    cleared: false,
    end: null,
    isRefusal: false,
    rolloutId: null,
  };
  ofDevice.set(job, seen);
  return seen;
}

/** @param {Seen} seen @param {string} direction @param {Buffer} payload */
function note(seen, direction, payload) {
  const isEmpty = payload.length === 0;
  if (direction === 'dn') {
    if (isEmpty) Object.assign(seen, { cleared: true });
    else Object.assign(seen, { issued: seen.issued + 1, cleared: false });
  } else if (!isEmpty) {
    const { status, digest, rolloutId } = JSON.parse(payload.toString());
    if (OPEN.includes(status)) return;
    Object.assign(seen, { end: status, isRefusal: digest === null, rolloutId });
  }
}

/** @param {SeenJobs} jobs */
function countsOf(jobs) {
  const counts = { issued: 0, open: 0, succeeded: 0, failed: 0 };
  for (const ofDevice of jobs.values()) {
    for (const { issued, cleared, end } of ofDevice.values()) {
      if (issued > 0) counts.issued += 1;
      if (end === 'SUCCEEDED') counts.succeeded += 1;
      else if (end !== null) counts.failed += 1;
      else if (!cleared) counts.open += 1;
    }
  }
  return counts;
}
