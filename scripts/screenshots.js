// @ts-check
// Pictures of every view of the dashboard into docs/screenshots/: light, dark and on a phone. Real server,
// controller and mosquitto, simulated fleet. `node scripts/screenshots.js [FOLDER]`; needs chromium and
// a build.
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import sharp from 'sharp';
import { logIn, startChromium } from './dashboard-stage/browser.js';
import { root } from './dashboard-stage/children.js';
import { startController, startDashboard, startFleet } from './dashboard-stage/stack.js';

/** @typedef {import('playwright-core').Page} Page */
/** @typedef {import('../agent/contracts/dashboard.ts').DeviceRow} DeviceRow */
/** @typedef {import('../agent/contracts/dashboard.ts').BenchLine} BenchLine */

const DEVICES = 400;
const MAX_BYTES = 150 * 1024;
/** Charts have some values by then, and the first rollout some waves. */
const HISTORY_MS = 75_000;
const SETTLE_MS = 1500;

const LOOKS = {
  light: { viewport: { width: 1360, height: 860 }, colorScheme: /** @type {const} */ ('light') },
  dark: { viewport: { width: 1360, height: 860 }, colorScheme: /** @type {const} */ ('dark') },
  phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
};

/** Rollouts in different states: one goes on, one has too many failures, one waits for approval. */
const SPECS = [
  {
    approve: true,
    rolloutId: 'kws-2.0.0-rpi',
    spec: {
      model: { name: 'kws', version: '2.0.0' },
      where: 'class in (rpi-5, rpi-4b)',
      waves: [20, 60, 100],
      canaryPerClass: 2,
      soakSeconds: 40,
      maxFailed: { percent: 30, count: 20 },
    },
  },
  {
    approve: true,
    rolloutId: 'ic-resnet-2.0.0-everywhere',
    spec: {
      model: { name: 'ic-resnet', version: '2.0.0' },
      waves: [50, 100],
      soakSeconds: 5,
      maxFailed: { percent: 2, count: 1 },
    },
  },
  {
    approve: false,
    rolloutId: 'vww-2.0.0-site-a',
    spec: { model: { name: 'vww', version: '2.0.0' }, where: 'tag=site-a' },
  },
];

/**
 * What the page itself would send.
 * @param {Page} page
 * @param {string} path
 * @param {unknown} [body]
 * @returns {Promise<any>}
 */
function ask(page, path, body) {
  const text = JSON.stringify(body) ?? null;
  return page.evaluate(
    `(async () => {
      const { csrf } = await (await fetch('api/session')).json();
      const answer = await fetch('api/${path}', ${text} === null ? {} : {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-csrf-token': csrf },
        body: JSON.stringify(${text}),
      });
      return await answer.json();
    })()`,
  );
}

/** @param {Page} page @param {string} file @param {boolean} whole the page beyond the screen, too */
async function take(page, file, whole) {
  const picture = await page.screenshot({ fullPage: whole });
  // A drawn page has few colours: a palette keeps them and a third of the bytes.
  const small = await sharp(picture).png({ palette: true, colours: 128, effort: 10 }).toBuffer();
  if (small.length > MAX_BYTES) throw new Error(`${file} has ${small.length} bytes`);
  await writeFile(file, small);
}

/** @param {Page} page @param {string} hash */
async function open(page, hash) {
  await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
  await page.locator('main h1').first().waitFor();
  await page.waitForTimeout(SETTLE_MS);
}

/** A device that took part in the first rollout, and two reports. @param {Page} page */
async function choose(page) {
  /** @type {{ devices: readonly DeviceRow[] }} */
  const { devices } = await ask(page, 'fleet');
  const done = devices.find(
    ({ job, model }) =>
      job?.jobType === 'deploy' && job.status === 'SUCCEEDED' && model?.name === 'kws',
  );
  const device = done?.deviceId ?? devices[0]?.deviceId ?? '';
  /** @type {{ benches: readonly BenchLine[] }} */
  const { benches } = await ask(page, 'benches');
  const of = (/** @type {string} */ name) => benches.filter(({ model }) => model.name === name);
  const [left, right] = of('kws').filter(
    ({ chosen }, index, all) => index === 0 || chosen?.precision !== all[0]?.chosen?.precision,
  );
  const query = new URLSearchParams({
    left: `${left?.deviceId}/${left?.benchId}`,
    right: `${right?.deviceId}/${right?.benchId}`,
  });
  return { device, compare: `#/compare?${query.toString()}` };
}

/** @param {Page} page @param {string} folder @param {string} look */
async function takeAll(page, folder, look) {
  const { device, compare } = await choose(page);
  /** @type {readonly (readonly [name: string, hash: string, whole: boolean])[]} */
  const views = [
    ['fleet', '#/fleet', false],
    ['device', `#/devices/${device}`, true],
    ['rollouts', '#/rollouts', false],
    ['rollout', '#/rollouts/kws-2.0.0-rpi', true],
    ['compare', compare, true],
    ['new-rollout', '#/new-rollout', true],
  ];
  for (const [name, hash, whole] of views) {
    // oxlint-disable no-await-in-loop -- one page, one view after the other
    await open(page, hash);
    if (name === 'new-rollout') await fillForm(page);
    await take(page, join(folder, `${name}-${look}.png`), whole);
    // oxlint-enable no-await-in-loop
  }
}

/** @param {Page} page */
async function fillForm(page) {
  await page.getByLabel('Model').fill('vww');
  await page.getByLabel('Version').fill('2.0.0');
  await page.getByLabel('Where').fill('class in (rpi-5, rpi-4b, coral-dev-board)');
  await page.getByRole('button', { name: 'Preview the plan' }).click();
  await page.getByRole('button', { name: 'Create and start' }).waitFor();
}

const folder = resolve(process.argv[2] ?? join(root, 'docs/screenshots'));
await mkdir(folder, { recursive: true });
const fleet = await startFleet(DEVICES, ['--telemetry', '2s']);
const { broker, operatorKey, passphrase } = fleet.info;
const controller = await startController(fleet);
const dashboard = await startDashboard({ broker, key: { file: operatorKey, passphrase } });
const chromium = await startChromium();
try {
  /** @type {import('playwright-core').BrowserContextOptions} */
  let session = {};
  for (const [look, options] of Object.entries(LOOKS)) {
    // oxlint-disable no-await-in-loop -- one look after the other
    const context = await chromium.browser.newContext({ ...options, ...session });
    const page = await context.newPage();
    await page.goto(dashboard.url);
    if (look === 'light') {
      await page.getByLabel('User').waitFor();
      await take(page, join(folder, 'login-light.png'), false);
      await logIn(page, 'operator');
      session = { storageState: await context.storageState() };
      for (const spec of SPECS) await ask(page, 'rollouts', spec);
      await page.waitForTimeout(HISTORY_MS);
    }
    await takeAll(page, folder, look);
    await context.close();
    // oxlint-enable no-await-in-loop
  }
} finally {
  await chromium.stop();
  await dashboard.stop();
  await controller.stop();
  await fleet.stop();
}
