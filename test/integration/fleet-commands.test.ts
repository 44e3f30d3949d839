import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { beforeAll, expect, jest, test } from '@jest/globals';
import { fleetListSchema, fleetSampleSchema } from '../../agent/contracts/fleet-list.ts';
import { run } from '../cli/support.ts';
import { watch } from '../daemon/fleet-support.ts';
import type { Watcher } from '../daemon/fleet-support.ts';
import { startDaemon, temporaryFolder, until } from '../daemon/support.ts';
import { afterThisTest, folderWith, mosquitto } from '../fleet/support/harness.ts';
import { describeWithMosquitto } from '../fleet/support/mosquitto.ts';
import { rollout } from '../fleet/operator/rollout-fixture.ts';

jest.setTimeout(60_000);

const R = 'edgefit/v1';
const PASSPHRASE = 'a passphrase for tests';
let key = '';

beforeAll(async () => {
  const { mkdtempSync } = await import('node:fs');
  const { tmpdir } = await import('node:os');
  key = join(mkdtempSync(join(tmpdir(), 'edgefit-key-')), 'ops.key');
  await run(['model', 'keygen', key], { env: { EDGEFIT_PASSPHRASE: PASSPHRASE } });
});

async function site() {
  const { port } = await mosquitto('allow_anonymous true');
  const watcher = await watch(port);
  const env = {
    EDGEFIT_MQTT_URL: `mqtt://127.0.0.1:${port}`,
    EDGEFIT_KEY_FILE: key,
    EDGEFIT_PASSPHRASE: PASSPHRASE,
    EDGEFIT_STATE_DIR: temporaryFolder(),
    USER: 'ann',
  };
  const fleet = (...args: readonly string[]) => run(['fleet', ...args], { env });
  return { port, watcher, fleet };
}

function daemonOf(port: number, id: string) {
  return startDaemon(`deviceId: ${id}\ntags: [site-a]\nmqtt:\n  url: mqtt://127.0.0.1:${port}\n`);
}

/** Answers commands as a controller does that leads. */
function controller({ client }: Watcher, answer: (signed: Record<string, unknown>) => object) {
  client.on('message', (topic, payload) => {
    const [, rolloutId = '', requestId = ''] = /\/r\/(.+)\/cmd\/(.+)$/.exec(topic) ?? [];
    if (requestId === '') return;
    const { signed } = JSON.parse(payload.toString()) as { signed: Record<string, unknown> };
    const response = {
      schema: 'edgefit/rollout-response/1',
      requestId,
      rolloutId,
      controllerId: 'ctl-1',
      ts: '2026-03-01T12:00:00.000Z',
      ok: true,
      rollout: { ...rollout({ rolloutId }), ...answer(signed) },
      error: null,
    };
    void client.publishAsync(`${R}/r/${rolloutId}/rsp/${requestId}`, JSON.stringify(response));
  });
}

describeWithMosquitto('agent fleet ls, show and watch', () => {
  test('see real devices', async () => {
    const { port, watcher, fleet } = await site();
    daemonOf(port, 'pi-7');
    const gone = daemonOf(port, 'pi-10');
    await watcher.find('/d/pi-7/up/twin');
    await watcher.find('/d/pi-10/up/twin');
    gone.child.kill('SIGTERM');
    await gone.ended;
    const listed = await fleet('ls', '--json');
    expect([listed.code, listed.err]).toEqual([0, '']);
    const { complete, devices } = fleetListSchema.parse(JSON.parse(listed.out));
    expect(complete).toBe(true);
    expect(devices).toMatchObject([
      { deviceId: 'pi-7', state: 'online', tags: ['site-a'], model: null },
      { deviceId: 'pi-10', state: 'offline' },
    ]);
    const table = await fleet('ls', '--once', '--where', 'state=online');
    expect(table.out.split('\n')[1]).toMatch(/^pi-7 +online +\S+ +- +- +-/);
    expect(table.err).toBe('1 device: 1 online\n');

    const shown = await fleet('show', 'pi-7');
    expect(shown.out).toMatch(/^state +online, session 1 since /m);
    expect(shown.out).toMatch(/^tags +site-a$/m);
    expect(shown.out).toMatch(/^model +none$/m);
    expect(Math.max(...shown.out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    const unknown = await fleet('show', 'pi-1');
    expect([unknown.code, unknown.err]).toEqual([
      2,
      'agent: the broker keeps nothing of pi-1: agent fleet ls shows who is there\n',
    ]);

    const watched = await fleet('watch', '--json', '--every', '0.1', '--count', '2');
    const samples = watched.out
      .trim()
      .split('\n')
      .map((line) => fleetSampleSchema.parse(JSON.parse(line)));
    expect(samples).toHaveLength(2);
    expect(samples[1]).toMatchObject({
      devices: 2,
      states: { online: 1, offline: 1 },
      connected: true,
    });
    const bad = await fleet('ls', '--where', 'class=');
    expect(bad.code).toBe(2);
  });

  test('a broker that is not there is told at once', async () => {
    const env = { EDGEFIT_MQTT_URL: 'mqtt://127.0.0.1:1' };
    for (const command of [['ls'], ['show', 'pi-7'], ['watch'], ['rollout', 'ls']]) {
      // oxlint-disable-next-line no-await-in-loop -- four commands
      const { code, err } = await run(['fleet', ...command], { env });
      expect([code, err]).toEqual([1, expect.stringContaining('127.0.0.1:1')]);
    }
    const none = await run(['fleet', 'ls']);
    expect([none.code, none.err]).toEqual([
      2,
      'agent: which broker? give --mqtt URL or set EDGEFIT_MQTT_URL\n',
    ]);
  });
});

describeWithMosquitto('agent fleet rollout', () => {
  test('create, plan and steps say what they mean', async () => {
    const { watcher, fleet } = await site();
    const asked: Record<string, unknown>[] = [];
    controller(watcher, (signed) => {
      asked.push(signed);
      return { state: signed['command'] === 'pause' ? 'paused' : 'planned' };
    });
    const spec = ['--model', 'kws@2.1.0', '--where', 'class=rpi-5', '--waves', '10%,100%'];
    const more = ['--soak', '30m', '--max-failed', '5%/10', '--max-accuracy-drop', '2'];
    const created = await fleet('rollout', 'create', ...spec, ...more, '--window', '02:00-05:00');
    expect([created.code, created.out]).toEqual([
      0,
      expect.stringMatching(/^kws-2\.1\.0-[0-9a-f]{6} is planned for 20 devices\n$/),
    ]);
    expect(created.err).toMatch(/^next: agent fleet rollout approve kws-2\.1\.0-/);
    expect(asked[0]).toMatchObject({
      command: 'create',
      actor: 'ann',
      spec: {
        model: { name: 'kws', version: '2.1.0' },
        where: 'class=rpi-5',
        waves: [10, 100],
        canaryPerClass: 1,
        soakSeconds: 1800,
        maxFailed: { percent: 5, count: 10 },
        window: { cron: '0 2 * * *', durationMinutes: 180 },
        policy: { maxAccuracyDrop: 0.02 },
      },
    });
    const plan = await fleet('rollout', 'plan', ...spec);
    expect(plan.out).toContain('rpi-4b                      1        6        7\n');
    // One that is there, with another limit: the rest of it stays.
    const policy = { precision: 'int8' as const, maxP90Ms: 5 };
    const kept = rollout({ rolloutId: 'r7', spec: { ...rollout().spec, policy } });
    const options = { retain: true, qos: 1 } as const;
    await watcher.client.publishAsync(`${R}/r/r7/state`, JSON.stringify(kept), options);
    await fleet('rollout', 'plan', 'r7', '--waves', '5%,100%', '--max-p90-ms', '9');
    expect(asked[2]).toMatchObject({
      command: 'plan',
      deviceId: 'r7',
      spec: { ...kept.spec, waves: [5, 100], policy: { precision: 'int8', maxP90Ms: 9 } },
    });
    const paused = await fleet('rollout', 'pause', 'r1', '--reason', 'hot');
    expect(paused.out).toBe('r1 is paused\n');
    expect(asked[3]).toMatchObject({ command: 'pause', deviceId: 'r1', reason: 'hot' });
  });

  test('a file is read with line and column', async () => {
    const { watcher, fleet } = await site();
    const asked: Record<string, unknown>[] = [];
    controller(watcher, (signed) => {
      asked.push(signed);
      return {};
    });
    const folder = folderWith({
      'good.yaml': 'model:\n  name: kws\n  version: 1.0.0\nwaves: [100]\n',
      'typo.yaml': 'model: {name: kws, version: 1.0.0}\nwave: [100]\n',
      'range.yaml': 'model:\n  name: kws\n  version: 1.0.0\nwaves: [100, 120]\n',
      'window.yaml':
        'model: {name: kws, version: 1.0.0}\nwindow: {cron: "0 25 * * *", durationMinutes: 60}\n',
      'broken.json': '{"model": ',
      'list.yaml': '- a\n',
      'short.yaml': 'model: kws@2.1.0\n',
      'name.yaml': 'waves: [100]\nmodel: kws\n',
    });
    const create = (name: string, ...args: readonly string[]) =>
      fleet('rollout', 'create', join(folder, name), ...args);
    expect((await create('good.yaml', '--soak', '10s', '--id', 'night')).code).toBe(0);
    expect(asked[0]).toMatchObject({
      deviceId: 'night',
      spec: { waves: [100], soakSeconds: 10, model: { version: '1.0.0' } },
    });
    // As the option takes it.
    expect((await create('short.yaml')).code).toBe(0);
    expect(asked[1]).toMatchObject({ spec: { model: { name: 'kws', version: '2.1.0' } } });
    expect((await create('name.yaml')).err).toContain('name.yaml:2:1: model: "kws": use NAME@');
    const typo = await create('typo.yaml');
    expect([typo.code, typo.err]).toEqual([
      2,
      `agent: ${join(folder, 'typo.yaml')}:2:1: wave: there is no such key; did you mean waves?\n`,
    ]);
    const range = await create('range.yaml');
    expect([range.code, range.err]).toEqual([
      2,
      expect.stringMatching(/range\.yaml:4:14: waves\.1: too big/),
    ]);
    const shut = await create('window.yaml');
    expect([shut.code, shut.err]).toEqual([
      2,
      expect.stringMatching(/window\.yaml:2:\d+: window: "25" is no hour/),
    ]);
    for (const name of ['broken.json', 'list.yaml', 'missing.yaml']) {
      // oxlint-disable-next-line no-await-in-loop -- three files
      const { code, err } = await create(name);
      expect([code, err.split('\n')]).toEqual([2, [expect.stringContaining(name), '']]);
    }
  });

  test('mistakes are one clear line', async () => {
    const bad = async (...args: readonly string[]) => {
      const { code, err } = await run(['fleet', 'rollout', ...args], {
        env: { EDGEFIT_MQTT_URL: 'mqtt://x' },
      });
      expect(code).toBe(2);
      expect(err.trimEnd().split('\n')).toHaveLength(1);
      return err;
    };
    expect(await bad('create')).toContain('which release? give --model NAME@VERSION or a file');
    expect(await bad('create', '--model', 'kws')).toContain('use NAME@VERSION');
    expect(await bad('create', '--model', 'a@1', '--soak', 'soon')).toContain('is no duration');
    expect(await bad('create', '--model', 'a@1', '--waves', '50%,10%')).toContain(
      '10% is not more',
    );
    expect(await bad('create', '--model', 'a@1', '--where', 'tag=')).toContain(
      '--where: selector, character 5',
    );
    expect(await bad('create', '--model', 'a@1')).toContain('which key signs it?');
    expect(await bad('plan', 'missing.yaml')).toContain('there is no file missing.yaml');
    expect(await bad('pause', 'a b')).toContain('is no id of a rollout');
  });

  test('watch follows to the end; its exit code says how that was', async () => {
    const { watcher, fleet } = await site();
    const put = (part: Parameters<typeof rollout>[0]) =>
      watcher.client.publishAsync(`${R}/r/r1/state`, JSON.stringify(rollout(part)), {
        qos: 1,
        retain: true,
      });
    await put({ rev: 1 });
    const watching = fleet('rollout', 'watch', 'r1', '--json');
    await until('a moment', async () => {
      await put({ rev: 2, state: 'paused', reason: { code: 'operator', text: 'ann' } });
      return true;
    });
    await put({ rev: 3, state: 'completed' });
    const done = await watching;
    expect(done.code).toBe(0);
    const last = done.out.trim().split('\n').at(-1) ?? '';
    expect(JSON.parse(last)).toMatchObject({ rev: 3, state: 'completed' });
    await put({ rev: 4, state: 'paused', reason: { code: 'thresholds', text: '6 of 20 failed' } });
    const stopped = await fleet('rollout', 'watch', 'r1');
    expect(stopped.code).toBe(3);
    expect(stopped.out).toContain(
      ' paused canary running 1/2, 1/20 ended, 0 failed: 6 of 20 failed\n',
    );
    const shown = await fleet('rollout', 'show', 'r1');
    expect(shown.out).toContain('r1: kws 2.1.0, paused\n  6 of 20 failed\n');
    expect((await fleet('rollout', 'ls')).out).toContain(
      'r1                     kws 2.1.0        paused',
    );
  });
});

describeWithMosquitto('a reader that has seen enough', () => {
  test.each([
    ['watch', '--json', '--every', '0.1'],
    ['rollout', 'watch', 'r1'],
  ])('ends %s', async (...args) => {
    const { port } = await mosquitto('allow_anonymous true');
    const { client } = await watch(port);
    let rev = 0;
    const change = () => {
      rev += 1;
      const state = JSON.stringify(rollout({ rolloutId: 'r1', rev }));
      void client.publishAsync(`${R}/r/r1/state`, state, { retain: true });
    };
    change();
    const changing = setInterval(change, 100);
    afterThisTest(() => clearInterval(changing));
    const main = join(import.meta.dirname, '../../dist/agent/cli/main.js');
    const url = `mqtt://127.0.0.1:${port}`;
    const child = spawn(process.execPath, [main, 'fleet', ...args, '--mqtt', url], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 20_000,
    });
    await once(child.stdout, 'data');
    child.stdout.destroy();
    // Not by the time limit, which is a signal.
    expect([...(await once(child, 'exit')), child.killed]).toEqual([0, null, false]);
  });

  test('no table is kept up to date where there is no terminal', async () => {
    const { fleet } = await site();
    expect(await fleet('ls', '--watch')).toMatchObject({
      code: 2,
      out: '',
      err: expect.stringContaining('--watch needs a terminal'),
    });
  });
});
