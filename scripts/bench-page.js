// @ts-check
// What the web page of the dashboard costs: bytes, time to first paint, scripting time while devices
// report, memory. Real server and mosquitto, simulated devices. Prints a line of JSON for each part.
//
//     node scripts/bench-page.js paint 1000     first paint and a full table, 5 fresh loads, the median
//     node scripts/bench-page.js scripting 1000     while every device reports every 10 s
//     node scripts/bench-page.js memory     an hour of 1,000 devices on every view, played in a minute
//     node scripts/bench-page.js bytes
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { connectAsync } from 'mqtt';
import { benchId, deviceId, playedServer, ROLLOUT } from './bench-page/played.js';
import { documentsOf } from './bench-dashboard/devices.js';
import { logIn, startChromium } from './dashboard-stage/browser.js';
import { root } from './dashboard-stage/children.js';
import { startDashboard, startFleet } from './dashboard-stage/stack.js';
import { startBroker } from './simulate-fleet/broker.js';

/** @typedef {import('playwright-core').Page} Page */

const LOADS = 5;
/** Devices whose documents are on their way to the broker at once. */
const BATCH = 100;
const WATCH_SECONDS = 30;
/** Events of the played hour in a second: the page gets no time to rest. */
const PLAYED_PER_SECOND = 60;
const WAIT_MS = 120_000;
/** How long each view is looked at while the hour is played. */
const VIEW_MS = 1000;
/** The server has read everything, and the first rush is over. */
const SETTLE_MS = 10_000;

/** Rounded. @param {readonly number[]} values */
function median(values) {
  return Math.round(values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0);
}

/** @param {Page} page */
async function measurer(page) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('Performance.enable');
  return async () => {
    const { metrics } = await cdp.send('Performance.getMetrics');
    return new Map(metrics.map(({ name, value }) => [name, value]));
  };
}

/** Heap after a collection, in MB. @param {Page} page */
async function heapMegabytes(page) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send('HeapProfiler.collectGarbage');
  const { usedSize } = await cdp.send('Runtime.getHeapUsage');
  return Number((usedSize / 1e6).toFixed(1));
}

/** Milliseconds from the start of the load to when something of the page is so. @param {Page} page @param {string} test */
async function sinceLoad(page, test) {
  return Number(
    await page.evaluate(`new Promise((done) => {
      const look = () => ${test} ? done(performance.now()) : requestAnimationFrame(look);
      look();
    })`),
  );
}

/**
 * A page that shows a fleet, and its address.
 * @template T
 * @param {string} broker
 * @param {number} devices
 * @param {(page: Page, url: string) => Promise<T>} work
 */
async function onPage(broker, devices, work) {
  const dashboard = await startDashboard({ broker });
  const chromium = await startChromium();
  try {
    const page = await chromium.browser.newPage({ viewport: { width: 1360, height: 860 } });
    await page.goto(dashboard.url);
    await logIn(page, 'viewer');
    const count = page.locator('.count', { hasText: devices.toLocaleString('en') });
    await count.waitFor({ timeout: WAIT_MS });
    await sleep(SETTLE_MS);
    return await work(page, dashboard.url);
  } finally {
    await chromium.stop();
    await dashboard.stop();
  }
}

/**
 * Devices that say no more than what the broker keeps of them.
 * @template T
 * @param {number} devices
 * @param {(page: Page, url: string) => Promise<T>} work
 */
async function onRetained(devices, work) {
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-bench-page-'));
  const broker = await startBroker({ folder, port: undefined, limits: 'raised' });
  try {
    const client = await connectAsync(broker.url, { reconnectPeriod: 0 });
    for (let at = 0; at < devices; at += BATCH) {
      const batch = Array.from({ length: Math.min(BATCH, devices - at) }, (_, index) => at + index);
      const sent = batch
        .flatMap(documentsOf)
        .map(([topic, document]) =>
          client.publishAsync(topic, JSON.stringify(document), { qos: 1, retain: true }),
        );
      // oxlint-disable-next-line no-await-in-loop -- no more than the broker takes at once
      await Promise.all(sent);
    }
    await client.endAsync();
    return await onPage(broker.url, devices, work);
  } finally {
    broker.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Simulated devices, each of which reports every 10 s.
 * @template T
 * @param {number} devices
 * @param {(page: Page, url: string) => Promise<T>} work
 */
async function onSimulated(devices, work) {
  const fleet = await startFleet(devices, ['--telemetry', '10s']);
  try {
    return await onPage(fleet.info.broker, devices, work);
  } finally {
    await fleet.stop();
  }
}

/** @param {number} devices */
function paint(devices) {
  return onRetained(devices, async (page, url) => {
    const first = [];
    const full = [];
    for (let load = 0; load < LOADS; load += 1) {
      // oxlint-disable no-await-in-loop -- one load after the other
      await page.goto('about:blank');
      await page.goto(url);
      const whole = `document.querySelector('[role=grid]')?.ariaRowCount === '${devices + 1}'`;
      full.push(await sinceLoad(page, whole));
      first.push(
        Number(
          await page.evaluate(
            'performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0',
          ),
        ),
      );
      // oxlint-enable no-await-in-loop
    }
    return { devices, firstPaintMs: median(first), fullTableMs: median(full), loads: LOADS };
  });
}

/** @param {number} devices */
function scripting(devices) {
  return onSimulated(devices, async (page) => {
    const measure = await measurer(page);
    const before = await measure();
    await sleep(WATCH_SECONDS * 1000);
    const after = await measure();
    const per = (/** @type {string} */ name) =>
      Number(
        ((1000 * ((after.get(name) ?? 0) - (before.get(name) ?? 0))) / WATCH_SECONDS).toFixed(2),
      );
    return {
      devices,
      watchedSeconds: WATCH_SECONDS,
      scriptMsPerSecond: per('ScriptDuration'),
      layoutMsPerSecond: per('LayoutDuration'),
      styleMsPerSecond: per('RecalcStyleDuration'),
      taskMsPerSecond: per('TaskDuration'),
      heapMegabytes: await heapMegabytes(page),
    };
  });
}

/** Every view of the page, one after the other. @param {number} devices */
function viewsOf(devices) {
  const [left, right] = [0, 1].map((index) => `${deviceId(index)}/${benchId(index)}`);
  return [
    '#/fleet',
    `#/devices/${deviceId(0)}`,
    '#/rollouts',
    `#/rollouts/${ROLLOUT}`,
    `#/compare?${new URLSearchParams({ left: left ?? '', right: right ?? '' }).toString()}`,
    `#/devices/${deviceId(devices - 1)}`,
    '#/new-rollout',
    '#/fleet?group=class&sort=-temp',
  ];
}

/** Opens every view for as long as there is time. @param {Page} page @param {number} devices @param {() => boolean} isOver */
async function visitAll(page, devices, isOver) {
  let views = 0;
  do {
    for (const hash of viewsOf(devices)) {
      // oxlint-disable no-await-in-loop -- one view after the other
      await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
      await page.locator('main h1').first().waitFor({ state: 'attached', timeout: WAIT_MS });
      await sleep(VIEW_MS);
      views += 1;
      // oxlint-enable no-await-in-loop
    }
  } while (!isOver());
  return views;
}

/** Heap before and after an hour's worth of changes, on every view. @param {number} devices */
async function memory(devices) {
  const { server, isOver, played } = playedServer(devices, PLAYED_PER_SECOND);
  await new Promise((/** @type {(value?: unknown) => void} */ done) => {
    server.listen(0, '127.0.0.1', () => done());
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const chromium = await startChromium();
  /** @type {Set<string>} */
  const errors = new Set();
  try {
    const page = await chromium.browser.newPage({ viewport: { width: 1360, height: 860 } });
    page.on('pageerror', (error) => errors.add(error.message));
    await page.goto(`http://127.0.0.1:${port}/`);
    await page.locator('.table-body .line').first().waitFor({ timeout: WAIT_MS });
    // Once round, so that all code has been loaded.
    await visitAll(page, devices, () => true);
    const before = await heapMegabytes(page);
    const deadline = Date.now() + 5 * WAIT_MS;
    const views = await visitAll(page, devices, () => isOver() || Date.now() > deadline);
    await visitAll(page, devices, () => true);
    const after = await heapMegabytes(page);
    // A page that has stopped drawing would use little.
    if (errors.size > 0) throw new Error(`the page failed: ${[...errors].join('; ')}`);
    return {
      devices,
      playedSeconds: played(),
      views,
      heapBeforeMb: before,
      heapAfterMb: after,
    };
  } finally {
    await chromium.stop();
    server.closeAllConnections();
    server.close();
  }
}

function bytes() {
  const folder = join(root, 'dist/dashboard');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.[a-z]+$/.test(name))
    .map((name) => readFileSync(join(folder, name)));
  const sum = (/** @type {(file: Buffer) => number} */ of) =>
    files.reduce((total, file) => total + of(file), 0);
  return {
    plainBytes: sum((file) => file.length),
    gzipBytes: sum((file) => gzipSync(file, { level: 9 }).length),
    brotliBytes: sum((file) => brotliCompressSync(file).length),
    files: files.length,
  };
}

const [what = 'bytes', count = '1000'] = process.argv.slice(2);
const parts = { paint, scripting, memory, bytes };
const part = Object.entries(parts).find(([name]) => name === what)?.[1];
if (part === undefined) {
  process.stderr.write(`bench-page: ${what}: use ${Object.keys(parts).join(', ')}\n`);
  process.exit(2);
}
console.log(JSON.stringify({ part: what, ...(await part(Number(count))) }));
process.exit();
