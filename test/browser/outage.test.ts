import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectAsync } from 'mqtt';
import { cardShard } from '../../agent/fleet/protocol/topics.ts';
import { cutter } from '../fleet/support/cutter.ts';
import { freePort, startMosquitto, type Mosquitto } from '../fleet/support/mosquitto.ts';
import { describeIf } from '../support/available.ts';
import {
  expectShown,
  goTo,
  startBrowser,
  visitAs,
  type TestBrowser,
  type Visit,
} from './support/browser.ts';
import { rollout } from './support/rollouts.ts';
import { addUsers, startDashboard, type Dashboard } from '../../scripts/dashboard-stage/stack.js';

const START_MS = 120_000;
const DEVICE = 'site-north-hall-07-camera-inspection-0001';
const EVIL = '<img src=x onerror="globalThis.pwned=1">';

const now = () => new Date().toISOString();

/** What a device keeps at the broker, with HTML wherever a text may stand. */
function messages(): readonly Published[] {
  const common = { deviceId: DEVICE, ts: now() };
  const settings = { counter: null, applied: {}, refused: null };
  const model = { name: EVIL, version: EVIL, precision: 'int8', digest: EVIL, releaseCounter: 1 };
  const card = { session: 1, agent: EVIL, class: EVIL, board: EVIL, arch: 'arm64', tags: ['a'] };
  const abilities = { precisions: [], runtimes: [], accelerators: [], jobTypes: [], keyIds: [] };
  return [
    statusOf('online'),
    [
      `card/${cardShard(DEVICE)}`,
      { schema: 'edgefit/card/1', ...common, ...card, ...abilities, memoryBytes: 1 },
    ],
    [
      'twin',
      {
        schema: 'edgefit/twin/1',
        ...common,
        rev: 1,
        activeModel: model,
        settings: { ...settings, refused: { counter: 1, code: 'bad', text: EVIL } },
        lastBench: null,
      },
    ],
    [
      'job/j1',
      {
        schema: 'edgefit/job/1',
        ...common,
        jobId: 'j1',
        jobType: EVIL,
        rolloutId: null,
        digest: null,
        seq: 1,
        status: 'FAILED',
        phase: EVIL,
        attempt: 1,
        outcome: null,
        reason: { code: EVIL, text: EVIL },
        progress: null,
        result: { [EVIL]: EVIL },
        phases: { [EVIL]: 1000 },
        mono: 1,
        bootId: null,
      },
    ],
    ['decision/kws', { schema: 'edgefit/device-decision/1', ...common, ...DECISION }],
  ];
}

const row = (id: string, verdict: string, why: string, p90Ms: number, accuracyDrop: number) => ({
  id,
  verdict,
  why,
  p90Ms,
  accuracyDrop,
  bytes: 2048,
  sqnrDb: null,
});

/** What the device tells of the model that it runs; there is no report of it. */
const DECISION = {
  model: 'kws',
  version: '2.0.0',
  releaseCounter: 2,
  digest: 'a'.repeat(64),
  decidedAt: now(),
  agent: '0.1.0',
  chosen: {
    id: 'onnxruntime/int8-static/t4',
    precision: 'int8',
    method: 'static',
    runtime: 'onnxruntime',
    threads: 4,
    bytes: 2048,
    reason: `fastest of two ${EVIL}`,
  },
  calibration: { source: 'package', samples: 32 },
  table: [
    row('onnxruntime/fp32-none/t4', 'rejected', `slower ${EVIL}`, 9, 0),
    row('onnxruntime/int8-static/t4', 'chosen', 'fastest of two', 4, 0.0125),
  ],
};

type Published = readonly [topic: string, value: unknown];

function statusOf(state: 'online' | 'offline'): Published {
  const common = { schema: 'edgefit/status/1', deviceId: DEVICE, ts: now(), since: now() };
  return ['status', { ...common, state, session: 1, bootId: null, agent: EVIL, cause: null }];
}

function heatOf(socCelsius: number, seq: number): Published {
  const common = { schema: 'edgefit/telemetry/1', deviceId: DEVICE, stream: 'host', full: true };
  const when = { seq, ts: Date.now(), mono: seq * 1000, bootId: null };
  return ['tele/host', { ...common, ...when, values: { socCelsius } }];
}

async function publish(port: number, published: readonly Published[]): Promise<void> {
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0 });
  for (const [topic, value] of published) {
    const full = `edgefit/v1/d/${DEVICE}/up/${topic}`;
    const retain = !topic.startsWith('tele/');
    // oxlint-disable-next-line no-await-in-loop -- in order
    await client.publishAsync(full, JSON.stringify(value), { qos: 1, retain });
  }
  await client.endAsync();
}

let mqttPort = 0;
let httpPort = 0;
let folder = '';
let broker: Mosquitto;
let dashboard: Dashboard;
let browser: TestBrowser;
let visit: Visit;

const OPEN = ['allow_anonymous true'];

describeIf('chromium', 'mosquitto')('the page in bad times', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'edgefit-browser-outage-'));
    [mqttPort, httpPort] = await Promise.all([freePort(), freePort()]);
    broker = await startMosquitto(OPEN, mqttPort);
    await publish(mqttPort, messages());
    await addUsers(folder);
    dashboard = await startDashboard({
      broker: `mqtt://127.0.0.1:${mqttPort}`,
      port: httpPort,
      folder,
    });
    browser = await startBrowser();
    visit = await visitAs(browser, dashboard.url, 'operator');
  }, START_MS);

  afterAll(async () => {
    await browser?.stop();
    await dashboard?.stop();
    await broker?.stop();
    await rm(folder, { recursive: true, force: true });
  }, START_MS);

  test('HTML in what devices say is shown as text', async () => {
    const { page } = visit;
    await page.getByRole('link', { name: DEVICE }).waitFor();
    await page.locator('.table-body .cell.class', { hasText: EVIL }).waitFor();
    await goTo(page, `#/devices/${DEVICE}`);
    await page.locator('.job-reason', { hasText: EVIL }).waitFor();
    await page.getByText(`Settings were refused: ${EVIL}`).waitFor();
    await page.getByText('Result', { exact: true }).click();
    expect(await page.locator('main img').count()).toBe(0);
    expect(await page.evaluate('globalThis.pwned')).toBeUndefined();
    await goTo(page, `#/devices/${encodeURIComponent(EVIL)}`);
    await page.locator('.crumb', { hasText: EVIL }).waitFor();
    await page.getByText('Is the id right?').waitFor();
    expect(visit.errors).toEqual([]);
  });

  test('what the device tells of its decision is shown where no report has come', async () => {
    const { page } = visit;
    await goTo(page, `#/devices/${DEVICE}`);
    const decision = page.getByRole('region', { name: 'Decision' });
    await decision.getByText('kws 2.0.0, as it runs').waitFor();
    await expectShown(decision.getByText(`int8 of kws 2.0.0: fastest of two ${EVIL}`));
    const points = decision.getByRole('img');
    expect(await points.count()).toBe(2);
    // 0.0125 of the metric are 1.25 points.
    await decision.getByLabel(/int8-static.* chosen: p90 4.00 ms.* -1.25 points/).waitFor();
    const cells = await decision.locator('tbody tr.chosen td').allTextContents();
    expect(cells).toEqual(['2', '4.00', '−1.25', '2.0 KiB']);
    await decision.getByText(`slower ${EVIL}`).waitFor();
    await decision.getByText('Calibrated with 32 samples of the package.').waitFor();
  });

  test('a rollout that the broker keeps no more leaves the page', async () => {
    const { page } = visit;
    const client = await connectAsync(`mqtt://127.0.0.1:${mqttPort}`, { reconnectPeriod: 0 });
    const keep = (id: string, text: string) =>
      client.publishAsync(`edgefit/v1/r/${id}/state`, text, { qos: 1, retain: true });
    await keep('old', JSON.stringify(rollout('old')));
    await keep('new', JSON.stringify(rollout('new')));
    await goTo(page, '#/rollouts');
    await page.getByRole('link', { name: 'old', exact: true }).waitFor();
    await keep('old', '');
    const links = page.locator('.rollout-table tbody a');
    await page.getByRole('link', { name: 'old', exact: true }).waitFor({ state: 'detached' });
    expect(await links.allTextContents()).toEqual(['new']);
    await links.first().click();
    await page.locator('.rollout-head').waitFor();
    await keep('new', '');
    await page.getByText('This rollout is not kept any more').waitFor();
    await client.endAsync();
  });

  test('a rollout that went while the stream was broken leaves the page, too', async () => {
    const way = await cutter(httpPort);
    const { page, context } = await visitAs(browser, `http://127.0.0.1:${way.port}/`, 'viewer');
    const client = await connectAsync(`mqtt://127.0.0.1:${mqttPort}`, { reconnectPeriod: 0 });
    const keep = (id: string, text: string) =>
      client.publishAsync(`edgefit/v1/r/${id}/state`, text, { qos: 1, retain: true });
    await goTo(page, '#/rollouts');
    await page.locator('.connection', { hasText: 'Live' }).waitFor();
    await page.getByText('No rollout yet').waitFor();
    // Both come as news, after the list was read.
    await keep('goes', JSON.stringify(rollout('goes')));
    await keep('stays', JSON.stringify(rollout('stays')));
    const links = page.locator('.rollout-table tbody a');
    await links.nth(1).waitFor();
    way.cut();
    await keep('goes', '');
    await page.locator('.connection', { hasText: 'Live' }).waitFor({ state: 'detached' });
    await page.locator('.connection', { hasText: 'Live' }).waitFor();
    await page.getByRole('link', { name: 'goes', exact: true }).waitFor({ state: 'detached' });
    expect(await links.allTextContents()).toEqual(['stays']);
    await keep('stays', '');
    await client.endAsync();
    await context.close();
  });

  test('a rollout that comes late, or is made again, is shown as it is', async () => {
    const way = await cutter(httpPort);
    const { page, context } = await visitAs(browser, `http://127.0.0.1:${way.port}/`, 'viewer');
    const client = await connectAsync(`mqtt://127.0.0.1:${mqttPort}`, { reconnectPeriod: 0 });
    const keep = (text: string) =>
      client.publishAsync('edgefit/v1/r/late/state', text, { qos: 1, retain: true });
    await page.locator('.connection', { hasText: 'Live' }).waitFor();
    await goTo(page, '#/rollouts/late');
    await page.getByText('there is no rollout late').waitFor();
    await keep(JSON.stringify(rollout('late', { rev: 5, createdBy: 'first' })));
    await page.getByText('first', { exact: true }).waitFor();
    expect(await page.getByText('there is no rollout late').count()).toBe(0);
    way.cut();
    await keep('');
    await keep(JSON.stringify(rollout('late', { rev: 4, createdBy: 'second' })));
    await expectShown(page.getByText('second', { exact: true }));
    expect(await page.locator('.problem').count()).toBe(0);
    // Asked before the server has read it.
    const error = { code: 'not_found', text: 'there is no rollout late' };
    await page.route(/\/api\/rollouts\/late$/, (route) =>
      route.fulfill({ status: 404, json: { error } }),
    );
    way.cut();
    await page.locator('.problem', { hasText: error.text }).waitFor();
    await keep('');
    await keep(JSON.stringify(rollout('late', { rev: 3, createdBy: 'third' })));
    await expectShown(page.getByText('third', { exact: true }));
    expect(await page.locator('.problem').count()).toBe(0);
    await keep('');
    await client.endAsync();
    await context.close();
  });

  test('an answer that comes after the stream was lost does not count', async () => {
    const way = await cutter(httpPort);
    const { page, context } = await visitAs(browser, `http://127.0.0.1:${way.port}/`, 'viewer');
    const live = page.locator('.connection', { hasText: 'Live' });
    await live.waitFor();
    const address = /\/api\/fleet$/;
    // Held back before it leaves the browser: a cut alone does not end it.
    await page.route(address, () => undefined);
    const asked = page.waitForRequest(address);
    way.cut();
    const request = await asked;
    const given = page.waitForEvent('requestfailed', { predicate: (one) => one === request });
    way.cut();
    await given;
    await page.unroute(address);
    await expectShown(live);
    await context.close();
  });

  test('older reports are added once, however often they are asked for', async () => {
    const { page, context } = await visitAs(browser, dashboard.url, 'viewer');
    const line = (benchId: string) => ({
      deviceId: 'pi-1',
      benchId,
      ts: now(),
      model: { name: 'kws', sha256: 'a'.repeat(64), format: 'onnx' },
      chosen: null,
      candidates: 1,
    });
    const pages = { first: ['b4', 'b3'], second: ['b2', 'b1'], third: ['b0'] };
    await page.route('**/api/benches*', async (route) => {
      const before = new URL(route.request().url()).searchParams.get('before') ?? 'first';
      const [, ids = []] = Object.entries(pages).find(([name]) => name === before) ?? [];
      const next = before === 'first' ? 'second' : before === 'second' ? 'third' : null;
      // Slow enough to be asked for again meanwhile.
      if (before !== 'first') await sleep(300);
      await route.fulfill({ json: { benches: ids.map(line), next } });
    });
    await goTo(page, '#/compare');
    const older = page.getByRole('button', { name: 'Add older reports' });
    await older.click();
    await older.click();
    const offered = page.getByLabel('Left').locator('option');
    await offered.nth(4).waitFor({ state: 'attached' });
    await sleep(600);
    expect(await offered.count()).toBe(1 + 4);
    await older.click();
    await older.waitFor({ state: 'detached' });
    const ids = await offered.evaluateAll((all) => all.map((one) => one.getAttribute('value')));
    expect(ids).toEqual(['', 'pi-1/b4', 'pi-1/b3', 'pi-1/b2', 'pi-1/b1', 'pi-1/b0']);
    await context.close();
  });

  test('what a device said last is not shown as now when it has gone', async () => {
    const { page } = visit;
    await goTo(page, `#/devices/${DEVICE}`);
    // By then the page follows the device: what comes before is not shown.
    await page.getByRole('region', { name: 'Decision' }).waitFor();
    await publish(mqttPort, [heatOf(47, 1)]);
    const chart = page.locator('.time-chart').filter({ hasText: 'Temperature' });
    await chart.locator('.figure', { hasText: '47.0 °C' }).waitFor();
    await page.locator('.figures dt', { hasText: /^Temperature$/ }).waitFor();
    await publish(mqttPort, [statusOf('offline')]);
    await chart.locator('.figure', { hasText: /^–$/ }).waitFor();
    await page.locator('.figures dt', { hasText: /^Last temperature$/ }).waitFor();
    await publish(mqttPort, [statusOf('online'), heatOf(51, 2)]);
    await chart.locator('.figure', { hasText: '51.0 °C' }).waitFor();
    expect(visit.errors).toEqual([]);
  });

  test('without a key nobody can act, and the page says why', async () => {
    const { page } = visit;
    await goTo(page, `#/devices/${DEVICE}`);
    await expectShown(page.getByText('Nobody can act here').first());
  });

  test('a lost broker is told, and so is its return', async () => {
    const { page } = visit;
    await goTo(page, '#/fleet');
    await broker.stop();
    await expectShown(page.getByText('The broker is not connected'));
    await page.locator('.connection', { hasText: 'Broker lost' }).waitFor();
    // What was known stays on the screen.
    await page.getByRole('link', { name: DEVICE }).waitFor();
    broker = await startMosquitto(OPEN, mqttPort);
    await publish(mqttPort, messages());
    await page.locator('.connection', { hasText: 'Live' }).waitFor({ timeout: 60_000 });
    await page.getByText('The broker is not connected').waitFor({ state: 'detached' });
  }, 120_000);

  test('a lost server is told; the page comes back by itself or asks who one is', async () => {
    const { page } = visit;
    await dashboard.stop();
    await page.getByText('The server cannot be reached').waitFor();
    dashboard = await startDashboard({
      broker: `mqtt://127.0.0.1:${mqttPort}`,
      port: httpPort,
      folder,
    });
    const live = page.locator('.connection', { hasText: 'Live' });
    await expectShown(live.or(page.getByLabel('Password')).first(), 60_000);
  }, 120_000);
});
