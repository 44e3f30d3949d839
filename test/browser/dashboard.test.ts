import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Rollout } from '../../agent/contracts/rollout.ts';
import { verifyDocument, type Keyring } from '../../agent/fleet/protocol/signed.ts';
import { describeIf } from '../support/available.ts';
import {
  expectShown,
  fillLogin,
  goTo,
  openPage,
  PHONE,
  seriousViolations,
  startBrowser,
  visitAs,
  type TestBrowser,
  type Visit,
} from './support/browser.ts';
import {
  startController,
  startDashboard,
  startFleet,
  type Dashboard,
  type Running,
  type SimulatedFleet,
} from '../../scripts/dashboard-stage/stack.js';
import { counts, keyringOf, rollout, wave } from './support/rollouts.ts';
import { listenTo, type Listener, type Message } from './support/topics.ts';

const DEVICES = 60;
const START_MS = 120_000;
/** A wave of simulated devices on a machine that has other things to do. */
const SLOW_MS = 60_000;

let fleet: SimulatedFleet;
let dashboard: Dashboard;
let browser: TestBrowser;
let wire: Listener;
let keyring: Keyring;
let controller: Running;
let visit: Visit;

describeIf('chromium', 'mosquitto')('the web page of the dashboard', () => {
  beforeAll(async () => {
    fleet = await startFleet(DEVICES, ['--telemetry', '2s']);
    const { broker, operatorKey, passphrase } = fleet.info;
    dashboard = await startDashboard({ broker, key: { file: operatorKey, passphrase } });
    keyring = await keyringOf(operatorKey);
    controller = await startController(fleet);
    wire = await listenTo(broker, ['edgefit/v1/d/+/dn/#', 'edgefit/v1/r/+/cmd/+']);
    browser = await startBrowser();
    visit = await visitAs(browser, dashboard.url, 'operator');
  }, START_MS);

  afterAll(async () => {
    await browser?.stop();
    await wire?.stop();
    await controller?.stop();
    await dashboard?.stop();
    await fleet?.stop();
  }, START_MS);

  const rows = () => visit.page.getByRole('grid', { name: 'Devices' });
  const deviceLink = (id: string) => visit.page.getByRole('link', { name: id, exact: true });

  /** The signed part of a document, of which the operator's key is known to have signed it. */
  const believed = (message: Message, type: 'job' | 'rollout', deviceId: string) => {
    const options = { type, deviceId, keyring, nowMs: Date.now(), minCounter: 0 };
    return verifyDocument(Buffer.from(message.text), options).signed;
  };

  describe('login', () => {
    test('a wrong password is told, and who is logged in can leave', async () => {
      const { page, context } = await openPage(browser, dashboard.url);
      await fillLogin(page, 'otto', 'not the password');
      await page.getByText('the name or the password is wrong').waitFor();
      expect(await seriousViolations(page)).toEqual([]);
      await fillLogin(page, 'otto', 'may do something');
      await page.getByRole('button', { name: 'Log out' }).click();
      await page.getByLabel('Password').waitFor();
      expect(await page.locator('.device-table').count()).toBe(0);
      await context.close();
    });
  });

  describe('fleet', () => {
    test('shows every device, drawn only where it can be seen', async () => {
      await goTo(visit.page, '#/fleet');
      await visit.page.getByText(`${DEVICES} devices`, { exact: true }).waitFor();
      expect(await rows().getAttribute('aria-rowcount')).toBe(String(DEVICES + 1));
      const drawn = await visit.page.locator('.table-body .line').count();
      expect(drawn).toBeGreaterThan(5);
      expect(drawn).toBeLessThan(DEVICES);
    });

    test('sorts, groups and filters; the address keeps it', async () => {
      const { page } = visit;
      await page.getByRole('button', { name: 'Device', exact: true }).click();
      await page.locator('.table-body .line').first().getByText('sim-00060').waitFor();
      await page.getByRole('searchbox').fill('class=rpi-5 tag=site-a');
      await page.getByLabel('Group by class').check();
      const group = page.locator('.line.group');
      await group.first().waitFor();
      expect(await group.count()).toBe(1);
      const classes = await page.locator('.table-body .cell.class').allTextContents();
      expect(classes.length).toBeGreaterThan(0);
      expect(new Set(classes)).toEqual(new Set(['rpi-5']));
      expect(page.url()).toContain('q=class%3Drpi-5+tag%3Dsite-a');
      await page.reload();
      await group.first().waitFor();
      expect(await page.getByRole('searchbox').inputValue()).toBe('class=rpi-5 tag=site-a');
      await page.getByRole('searchbox').fill('nothing is called so');
      await page.getByRole('button', { name: 'Clear the filter' }).click();
      await goTo(page, '#/fleet');
      await page.getByText(`${DEVICES} devices`, { exact: true }).waitFor();
    });

    test('the map of precisions counts every device, and a click shows those of a cell', async () => {
      const { page } = visit;
      const cells = page.locator('.map-cell');
      await cells.first().waitFor();
      const numbers = await page.locator('.map-cell span:first-child').allTextContents();
      expect(numbers.map(Number).reduce((sum, each) => sum + each, 0)).toBe(DEVICES);
      await cells.first().click();
      await page.getByText(`${numbers[0]} of ${DEVICES} devices`).waitFor();
      await cells.first().click();
      await page.getByText(`${DEVICES} devices`, { exact: true }).waitFor();
    });

    test('a tile filters by the state that it counts', async () => {
      const { page } = visit;
      await page.getByRole('button', { name: /^Online/ }).click();
      expect(await page.getByRole('searchbox').inputValue()).toBe('state=online');
      await page.getByRole('button', { name: /^Online/ }).click();
      expect(await page.getByRole('searchbox').inputValue()).toBe('');
    });

    test('keys alone reach a device: skip link, filter, rows', async () => {
      const { page } = visit;
      await page.reload();
      await deviceLink('sim-00001').waitFor();
      await page.keyboard.press('Tab');
      expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to the content');
      await page.keyboard.press('Enter');
      expect(await page.evaluate('document.activeElement.id')).toBe('main');
      await page.keyboard.press('/');
      await page.keyboard.type('sim-0000');
      await page.getByText(`9 of ${DEVICES} devices`).waitFor();
      await rows().focus();
      await page.keyboard.press('End');
      await page.keyboard.press('ArrowUp');
      await page.keyboard.press('Home');
      await page.keyboard.press('ArrowDown');
      expect(await rows().getAttribute('aria-activedescendant')).toBe('line-sim-00002');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'sim-00002' }).waitFor();
    });

    test('nothing moves while values stream in', async () => {
      const { page, context } = await visitAs(browser, dashboard.url, 'viewer');
      await page.getByText(`${DEVICES} devices`, { exact: true }).waitFor();
      await page.waitForTimeout(1500);
      await page.evaluate(`globalThis.moved = 0; new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) globalThis.moved += entry.value;
      }).observe({ type: 'layout-shift', buffered: false })`);
      const before = await page.locator('.cell.temp').allTextContents();
      await page.waitForTimeout(6000);
      expect(await page.locator('.cell.temp').allTextContents()).not.toEqual(before);
      expect(await page.evaluate('globalThis.moved')).toBeLessThan(0.01);
      await context.close();
    });
  });

  describe('device', () => {
    const open = async (id: string) => {
      await goTo(visit.page, `#/devices/${id}`);
      await visit.page.getByRole('heading', { name: id }).waitFor();
    };

    test('shows facts, the decision with every loser’s reason, and live charts', async () => {
      const { page } = visit;
      await open('sim-00003');
      await page.getByText('Chosen:').waitFor();
      const candidates = await page.locator('.candidates tbody tr').count();
      expect(candidates).toBeGreaterThan(1);
      expect(await page.locator('.point').count()).toBe(candidates);
      expect(await page.locator('.point.chosen').count()).toBe(1);
      const reasons = await page.locator('.candidates .reason').allTextContents();
      expect(reasons.every((reason) => reason.length > 5)).toBe(true);
      await page.locator('.point.rejected').first().focus();
      const words = (await page.locator('.chart-words').textContent()) ?? '';
      expect(words).toContain('not chosen');
      expect(await page.locator('.time-chart canvas').count()).toBe(4);
      await page.getByRole('button', { name: '6 h', exact: true }).click();
      const heat = page.getByRole('img', { name: /^Temperature: processor \d/ });
      const first = (await heat.getAttribute('aria-label')) ?? '';
      await page.getByRole('img', { name: first, exact: true }).waitFor({ state: 'detached' });
    });

    const buttons = [
      { name: 'Bench', verb: 'Bench', jobType: 'bench' },
      { name: 'Diagnostics', verb: 'Diagnostics', jobType: 'collect' },
      { name: 'Self-check', verb: 'Self-check', jobType: 'selfcheck' },
      { name: 'Roll back', verb: 'Roll back', jobType: 'rollback' },
    ];
    test.each(buttons)('$name publishes a signed job of type $jobType', async (button) => {
      const { page } = visit;
      const deviceId = 'sim-00004';
      await open(deviceId);
      await page.getByRole('button', { name: button.name, exact: true }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByRole('button', { name: 'Cancel' }).click();
      await dialog.waitFor({ state: 'detached' });
      await page.getByRole('button', { name: button.name, exact: true }).click();
      await dialog.getByRole('button', { name: button.verb, exact: true }).click();
      const job = await wire.wait(
        ({ topic, json, text }) =>
          topic.startsWith(`edgefit/v1/d/${deviceId}/dn/job/`) &&
          json !== null &&
          text.includes(`"jobType":"${button.jobType}"`) &&
          !topic.endsWith('-1'),
      );
      const signed = believed(job, 'job', deviceId);
      expect(signed).toMatchObject({ type: 'job', deviceId, jobType: button.jobType });
      const jobId = String(signed['jobId']);
      // The device has taken it, and says so on the page without a reload.
      await page.locator('.job', { hasText: jobId }).first().waitFor();
    });

    test('one that is revoked while somebody looks at it can do nothing any more', async () => {
      const { page } = visit;
      const deviceId = `sim-${String(DEVICES).padStart(5, '0')}`;
      await goTo(page, `#/devices/${deviceId}`);
      const bench = page.getByRole('button', { name: 'Bench' });
      await bench.waitFor();
      const ts = new Date().toISOString();
      const revocation = { schema: 'edgefit/revocation/1', deviceId, ts, reason: null };
      const topic = `edgefit/v1/d/${deviceId}/dn/revoked`;
      const options = { qos: 1, retain: true } as const;
      const text = JSON.stringify({ ...revocation, actor: null, replacedBy: null });
      await wire.client.publishAsync(topic, text, options);
      await expectShown(page.getByText('it was revoked or taken away'));
      expect(await bench.count()).toBe(0);
      await page.reload();
      await expectShown(page.getByText(`${deviceId} is revoked`));
      await wire.client.publishAsync(topic, '', options);
    });

    test('an id that nobody has is told', async () => {
      await goTo(visit.page, '#/devices/nobody');
      await expectShown(visit.page.getByText('Is the id right?'));
    });
  });

  describe('rollouts', () => {
    /** The signed command that came to the broker for a rollout. */
    const command = async (rolloutId: string, name: string) => {
      const sent = await wire.wait(
        ({ topic, text }) =>
          topic.startsWith(`edgefit/v1/r/${rolloutId}/cmd/`) &&
          text.includes(`"command":"${name}"`),
      );
      return believed(sent, 'rollout', rolloutId);
    };
    const press = async (name: string, then: string) => {
      const { page } = visit;
      await page.getByRole('button', { name, exact: true }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Reason').fill(`to try ${name}`);
      await dialog.getByRole('button', { name, exact: true }).click();
      await dialog.waitFor({ state: 'detached' });
      await page.locator('.rollout-head .badge', { hasText: then }).waitFor();
    };
    const fillForm = async () => {
      const { page } = visit;
      await page.getByLabel('Model').fill('kws');
      await page.getByLabel('Version').fill('2.0.0');
      await page.getByLabel('Waves, %').fill('50, 100');
      // One in ten simulated devices fails: of so few that all do happens to nobody.
      await page.getByLabel('Canaries per class').fill('4');
    };
    let rolloutId = '';

    test('a plan is seen before the rollout is created', async () => {
      const { page } = visit;
      await goTo(page, '#/rollouts');
      await page.getByRole('link', { name: 'New rollout' }).click();
      await page.getByRole('button', { name: 'Preview the plan' }).click();
      await page.getByText('which model?').waitFor();
      await fillForm();
      await page.getByLabel('Where').fill('class=rpi-5 or class=rpi-4b');
      await page.getByRole('button', { name: 'Preview the plan' }).click();
      const plan = page.getByRole('region', { name: 'Plan' });
      await plan.getByText('Wave 1, canaries').waitFor();
      const classes = await plan.locator('thead th').allTextContents();
      expect(classes.slice(2)).toEqual(['rpi-4b', 'rpi-5']);
      await plan.getByRole('heading', { name: 'Left out' }).waitFor();
      expect(await seriousViolations(page)).toEqual([]);
      await plan.getByRole('button', { name: 'Create', exact: true }).click();
      await page.locator('.rollout-head .badge', { hasText: 'planned' }).waitFor();
      rolloutId = (await page.locator('.rollout-head h1').textContent()) ?? '';
      expect(await command(rolloutId, 'create')).toMatchObject({
        type: 'rollout',
        actor: 'otto',
        approve: false,
        spec: {
          model: { name: 'kws', version: '2.0.0' },
          where: 'class=rpi-5 or class=rpi-4b',
          waves: [50, 100],
          canaryPerClass: 4,
          soakSeconds: 1800,
          maxFailed: { percent: 5, count: 10 },
        },
      });
    });

    test(
      'it is approved, paused, resumed and rolled back; the fleet follows',
      async () => {
        const { page } = visit;
        await press('Approve', 'running');
        // Canaries of each of the two classes: real jobs, to simulated devices.
        const isJob = ({ topic, text }: Message) =>
          topic.includes('/dn/job/') && text.includes(`"rolloutId":"${rolloutId}"`);
        await wire.wait(isJob);
        await page
          .locator('.wave.current .badge', { hasText: 'soaking' })
          .waitFor({ timeout: SLOW_MS });
        await page.getByText(/\d+ min( \d+ s)? left to soak/).waitFor();
        await press('Pause', 'paused');
        await page.getByText('to try Pause').waitFor();
        await press('Resume', 'running');
        await press('Roll back', 'aborted');
        const names = ['approve', 'pause', 'resume', 'rollback'];
        const sent = await Promise.all(names.map((name) => command(rolloutId, name)));
        expect(sent.map((each) => each['command'])).toEqual(names);
        expect(sent.map((each) => each['actor'])).toEqual(['otto', 'otto', 'otto', 'otto']);
        await wire.wait(
          ({ topic, text }) =>
            topic.includes('/dn/job/') && text.includes('"rollback"') && text.includes(rolloutId),
        );
      },
      START_MS,
    );

    test('another is started at once, and aborted', async () => {
      const { page } = visit;
      await goTo(page, '#/new-rollout');
      await fillForm();
      await page.getByLabel('Window opens').fill('0 2 * * *');
      await page.getByLabel('Then').selectOption('abort');
      await page.getByRole('button', { name: 'Preview the plan' }).click();
      await page.getByRole('button', { name: 'Create and start' }).click();
      await page.locator('.rollout-head .badge', { hasText: 'running' }).waitFor();
      const other = (await page.locator('.rollout-head h1').textContent()) ?? '';
      expect(await command(other, 'create')).toMatchObject({
        approve: true,
        spec: { onFailed: 'abort', window: { cron: '0 2 * * *', durationMinutes: 240 } },
      });
      await press('Abort', 'aborted');
      await goTo(page, '#/rollouts');
      await page.getByRole('link', { name: other }).waitFor();
      expect(await page.locator('.rollout-table tbody tr').count()).toBe(2);
    });

    test('waves and failures are shown as they change', async () => {
      const { page } = visit;
      const publish = (value: Rollout) =>
        wire.client.publishAsync(`edgefit/v1/r/${value.rolloutId}/state`, JSON.stringify(value), {
          qos: 1,
          retain: true,
        });
      await publish(rollout('watched'));
      await goTo(page, '#/rollouts/watched');
      await page.getByText('0 of 2 devices').waitFor();
      await publish(
        rollout('watched', {
          rev: 2,
          waves: [
            wave(0, {
              state: 'soaking',
              counts: counts({ targets: 2, succeeded: 1, failed: 1 }),
              soakUntil: new Date(Date.now() + 600_000).toISOString(),
              compared: { devices: 1, p90Ratio: 0.8, accuracyDrop: 0.001, celsiusRise: 2 },
            }),
            wave(1, { counts: counts({ targets: 38, pending: 38 }) }),
          ],
          failures: [
            {
              code: 'accuracy_below',
              class: 'rpi-5',
              devices: 1,
              examples: ['sim-00009'],
              text: '<b>int8</b> lost too much',
            },
          ],
        }),
      );
      await page.getByText('2 of 2 devices, 100 %').waitFor();
      await page.getByText(/(9 min \d+ s|10 min) left to soak/).waitFor();
      await page.getByText('p90 −20.0 %, accuracy −0.10 points, temperature +2.0 °C').waitFor();
      await page.getByText('<b>int8</b> lost too much').waitFor();
      expect(await page.locator('.failures').getByText('accuracy_below').count()).toBe(1);
    });
  });

  describe('compare', () => {
    test('two reports stand side by side and can be taken away as files', async () => {
      const { page } = visit;
      await goTo(page, '#/compare');
      const offered = page.getByLabel('Left').locator('option');
      const one = (await offered.nth(1).textContent())?.split(':')[0] ?? '';
      await page.getByLabel('Filter').fill(`${one} 20`);
      const [first, ...rest] = await offered.allTextContents();
      expect(first).toBe('Pick a report');
      expect(rest.length).toBeGreaterThan(0);
      expect(rest.filter((text) => !text.startsWith(`${one}:`))).toEqual([]);
      await page.getByLabel('Filter').fill('');
      await page.getByLabel('Left').selectOption({ index: 1 });
      await page.getByLabel('Right').selectOption({ index: 2 });
      await page.locator('.compare-table tbody tr').first().waitFor();
      await page.getByRole('button', { name: 'Swap' }).click();
      const download = page.waitForEvent('download');
      await page.getByRole('link', { name: 'Export CSV' }).click();
      expect((await download).suggestedFilename()).toMatch(/\.csv$/);
      const json = page.waitForEvent('download');
      await page.getByRole('link', { name: 'Export JSON' }).click();
      expect((await json).suggestedFilename()).toMatch(/\.json$/);
    });
  });

  describe('for everybody', () => {
    const views = [
      '#/fleet',
      '#/fleet?group=class',
      '#/devices/sim-00003',
      '#/rollouts',
      '#/rollouts/watched',
      '#/new-rollout',
      '#/compare',
    ];
    const looks = [
      { look: 'light', options: { colorScheme: 'light' as const } },
      { look: 'dark', options: { colorScheme: 'dark' as const } },
      { look: 'phone', options: PHONE },
    ];
    test.each(looks)(
      'no view has a serious violation ($look)',
      async ({ options }) => {
        const { page, context, errors } = await visitAs(
          browser,
          dashboard.url,
          'operator',
          options,
        );
        const found: string[] = [];
        for (const view of views) {
          // oxlint-disable no-await-in-loop -- one page, one view after the other
          await goTo(page, view);
          await page.locator('main h1').first().waitFor();
          await page.waitForTimeout(800);
          const wide = await page.evaluate<boolean>(
            'document.documentElement.scrollWidth > document.documentElement.clientWidth',
          );
          if (wide) found.push(`${view} is wider than the screen`);
          found.push(...(await seriousViolations(page)).map((line) => `${view} ${line}`));
          // oxlint-enable no-await-in-loop
        }
        expect(found).toEqual([]);
        expect(errors).toEqual([]);
        await context.close();
      },
      120_000,
    );

    test(
      'a page that is not seen gives its connections back, and catches up afterwards',
      async () => {
        const { page } = visit;
        const show = (isHidden: boolean) =>
          page.evaluate(`Object.defineProperty(document, 'hidden', {
          value: ${isHidden}, configurable: true });
          document.dispatchEvent(new Event('visibilitychange'))`);
        await goTo(page, '#/devices/sim-00001');
        await page.getByRole('button', { name: 'Bench' }).waitFor();
        const streams = [/\/api\/events$/, /\/api\/events\?device=/];
        const ended = streams.map((address) =>
          page.waitForEvent('requestfailed', {
            predicate: (request) => address.test(request.url()),
          }),
        );
        await show(true);
        await Promise.all(ended);
        const again = [...streams, /\/api\/fleet$/, /\/api\/devices\/sim-00001$/].map((address) =>
          page.waitForRequest(address),
        );
        await show(false);
        await Promise.all(again);
        await expectShown(page.getByText('Live', { exact: true }).first());
      },
      SLOW_MS,
    );

    test('the choice of colours is remembered', async () => {
      const { page } = visit;
      await page.getByLabel('Colours').selectOption('dark');
      await page.reload();
      expect(await page.evaluate('document.documentElement.dataset.theme')).toBe('dark');
      expect(await page.getByLabel('Colours').inputValue()).toBe('dark');
      await page.getByLabel('Colours').selectOption('system');
    });

    test('a viewer sees why nothing can be done, and does nothing', async () => {
      const { page, context } = await visitAs(browser, dashboard.url, 'viewer');
      const before = wire.all().length;
      await goTo(page, '#/devices/sim-00003');
      const bench = page.getByRole('button', { name: 'Bench', exact: true });
      await bench.waitFor();
      expect(await bench.getAttribute('aria-disabled')).toBe('true');
      await bench.click({ force: true });
      await page.getByText('this needs an operator').first().waitFor();
      expect(await page.getByRole('dialog').count()).toBe(0);
      await goTo(page, '#/rollouts');
      await page.getByText('this needs an operator').first().waitFor();
      expect(await page.getByRole('link', { name: 'New rollout' }).count()).toBe(0);
      const status = await page.evaluate(`fetch('api/devices/sim-00003/actions', {
        method: 'POST', headers: { 'content-type': 'application/json', 'x-csrf-token': 'x' },
        body: JSON.stringify({ action: 'selfcheck' }) }).then((answer) => answer.status)`);
      expect(status).toBe(403);
      const sent = wire.all().slice(before);
      expect(sent.filter(({ topic }) => topic.includes('/sim-00003/'))).toEqual([]);
      await context.close();
    });

    test('nothing went wrong behind the scenes', () => {
      expect(visit.errors).toEqual([]);
    });
  });
});
