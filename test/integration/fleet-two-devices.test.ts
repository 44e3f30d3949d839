import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { manifestSchema } from '../../agent/contracts/manifest.ts';
import { releaseSchema } from '../../agent/contracts/release.ts';
import { rolloutSchema } from '../../agent/contracts/rollout.ts';
import { makeKeyFile, publicPart } from '../../agent/deploy/key-file.ts';
import { builtModule } from '../../agent/util/paths.ts';
import { startDaemon, temporaryFolder, until } from '../daemon/support.ts';
import { afterThisTest } from '../fleet/support/harness.ts';
import { describeWithMosquitto } from '../fleet/support/mosquitto.ts';
import { securedMosquitto, type SecuredBroker } from '../fleet/support/secured.ts';
import { Site } from '../fleet/support/site.ts';
import { available } from '../support/available.ts';
import { corpusPath } from '../support/corpus.ts';

jest.setTimeout(300_000);

const MODEL = 'mnist-cntk';
const MAIN = builtModule('cli/main');
const ROOT = join('repository', 'metadata', '1.root.json');
const PASSPHRASE = 'two devices';
const FIT_MS = 180_000;
const run = promisify(execFile);
let site: Site;

beforeAll(async () => {
  site = await Site.open();
});

afterAll(async () => {
  await site.close();
});

/** A key file and its public half. */
async function keyFiles(folder: string, name: string) {
  const key = await makeKeyFile(PASSPHRASE, name);
  const file = join(folder, `${name}.json`);
  writeFileSync(file, JSON.stringify(key), { mode: 0o600 });
  return { file, public: publicPart(key).public };
}

/** A package of a model of the corpus, as `agent model pack` makes it, with gates of its own. */
async function publish(version: string, gates: readonly string[] = []) {
  const folder = temporaryFolder();
  const whole = manifestSchema.parse(
    JSON.parse(readFileSync(corpusPath('packages', `${MODEL}.json`), 'utf8')),
  );
  const data = corpusPath('data', 'mnist_Input3.npz');
  // A hundred samples tell as much here as three thousand.
  const samples = {
    calibration: { path: data, from: 0, to: 50 },
    evaluation: { path: data, from: 100, to: 200 },
  };
  const manifest = join(folder, 'manifest.json');
  const model = corpusPath('models', 'mnist_cntk.onnx');
  writeFileSync(manifest, JSON.stringify({ ...whole, model, samples }));
  const packed = join(folder, 'package');
  await agent(['model', 'pack', manifest, '-o', packed, '--package-version', version, ...gates]);
  return site.publishFolder(packed, MODEL, version);
}

async function agent(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { stdout } = await run(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env['PATH'], EDGEFIT_STATE_DIR: site.folder, ...env },
    timeout: FIT_MS,
  });
  return stdout;
}

/** A daemon of its own that says it is ill while there is a file `ill` in its state folder. */
async function device(id: string, broker: SecuredBroker) {
  const state = temporaryFolder();
  await site.enrol(state);
  const { cert, key } = broker.certificateOf(id);
  const yaml = [
    `deviceId: ${id}`,
    'mqtt:',
    `  url: ${broker.url}`,
    `  caFile: ${broker.caFile}`,
    `  certFile: ${cert}`,
    `  keyFile: ${key}`,
    '  reconnectMinSeconds: 0.05',
    'models:',
    `  repository: ${site.url}`,
    `  healthCommand: test ! -e ${state}/ill`,
  ].join('\n');
  return { id, state, daemon: startDaemon(yaml, { state }) };
}

/** What an operator has in the environment. */
function operatorEnv(broker: SecuredBroker, keyFile: string): Record<string, string> {
  const { cert, key } = broker.certificateOf('ann');
  return {
    EDGEFIT_MQTT_URL: broker.url,
    EDGEFIT_MQTT_CA_FILE: broker.caFile,
    EDGEFIT_MQTT_CERT_FILE: cert,
    EDGEFIT_MQTT_KEY_FILE: key,
    EDGEFIT_KEY_FILE: keyFile,
    EDGEFIT_PASSPHRASE: PASSPHRASE,
  };
}

function startController(broker: SecuredBroker, keyFile: string) {
  const state = temporaryFolder();
  const { cert, key } = broker.certificateOf('ctl-1');
  const args = [
    '--mqtt',
    broker.url,
    '--mqtt-ca',
    broker.caFile,
    '--mqtt-cert',
    cert,
    '--mqtt-key',
    key,
  ];
  const trust = ['--repository', site.url, '--root', join(site.folder, ROOT), '--key', keyFile];
  const child = spawn(
    process.execPath,
    [MAIN, 'fleet', 'controller', '--id', 'ctl-1', '--state', state, ...args, ...trust],
    {
      env: { PATH: process.env['PATH'], EDGEFIT_PASSPHRASE: PASSPHRASE },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let log = '';
  child.stderr.on('data', (data) => (log += String(data)));
  const ended = once(child, 'exit');
  afterThisTest(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { log: () => log };
}

const released = (state: string) =>
  releaseSchema.parse(
    JSON.parse(readFileSync(join(state, 'models', MODEL, 'current', 'release.json'), 'utf8')),
  );

describeWithMosquitto('two devices, a broker with TLS and an access list, a controller', () => {
  const testHere = available('openssl') && available('shared') ? test : test.skip;

  testHere('bring a model to both, and stop at a version that is bad', async () => {
    const folder = temporaryFolder();
    const operator = await keyFiles(folder, 'operator');
    const controllerKey = await keyFiles(folder, 'controller');
    await site.trust(operator.public, controllerKey.public);
    const roles = { operators: ['ann'], dashboards: [], controllers: ['ctl-1'] };
    const broker = await securedMosquitto(folder, roles);
    const devices = [await device('pi-1', broker), await device('pi-2', broker)];
    const controller = startController(broker, controllerKey.file);
    const env = operatorEnv(broker, operator.file);
    const rollout = async (id: string) => {
      const shown = await agent(['fleet', 'rollout', 'show', id, '--json'], env);
      return rolloutSchema.parse(JSON.parse(shown));
    };
    const listed = async () => {
      const { devices: rows } = JSON.parse(await agent(['fleet', 'ls', '--json'], env));
      return rows as readonly Record<string, unknown>[];
    };
    await until('both devices', async () => (await listed()).length === 2);

    const rollOut = async (version: string, more: readonly string[] = []) => {
      const id = `to-${version}`;
      const spec = ['--model', `${MODEL}@${version}`, '--waves', '100%', '--soak', '0s'];
      const limits = ['--max-failed', '1%/1', ...more];
      await agent(['fleet', 'rollout', 'create', '--id', id, '--approve', ...spec, ...limits], env);
      return until(
        `the end of ${id}: ${controller.log()}`,
        async () => {
          const now = await rollout(id);
          return ['completed', 'paused', 'aborted'].includes(now.state) && now;
        },
        FIT_MS,
      );
    };

    await publish('1.0.0');
    const first = await rollOut('1.0.0');
    expect(first).toMatchObject({ state: 'completed', counts: { targets: 2, succeeded: 2 } });
    // Each has fitted it for itself: a record of its own, of measurements of its own.
    const decisions = devices.map(({ state }) =>
      readFileSync(join(state, 'models', MODEL, 'current', 'decision.json'), 'utf8'),
    );
    expect(decisions[0]).not.toBe(decisions[1]);
    const good = devices.map(({ state }) => readlinkSync(join(state, 'models', MODEL, 'current')));
    const runs = devices.map(({ state }) => released(state));
    expect(runs.map(({ version }) => version)).toEqual(['1.0.0', '1.0.0']);

    // The controller takes the records of jobs away; what was chosen, and why, stays.
    const shown = async () => JSON.parse(await agent(['fleet', 'show', 'pi-1', '--json'], env));
    await until('no records of jobs', async () => (await shown()).jobs.length === 0);
    const told = {
      model: MODEL,
      version: '1.0.0',
      chosen: { precision: runs[0]?.precision },
      table: JSON.parse(decisions[0] ?? '').bench.candidates.map(({ id }: { id: string }) => ({
        id,
      })),
    };
    expect((await shown()).decisions).toMatchObject([told]);
    expect(await agent(['fleet', 'show', 'pi-1'], env)).toContain(
      `Decision on ${MODEL} 1.0.0: ${runs[0]?.precision}`,
    );

    // No machine runs a model in a nanosecond: each device refuses it before it changes anything.
    await publish('2.0.0', ['--max-p90-ms', '0.000001']);
    const second = await rollOut('2.0.0');
    expect(second).toMatchObject({ state: 'paused', counts: { succeeded: 0, failed: 1 } });
    expect(second.failures).toMatchObject([{ code: 'gate_missed', devices: 1 }]);
    // It keeps its devices until somebody decides.
    await expect(rollOut('2.0.0', ['--id', 'again'])).rejects.toThrow(
      'in another rollout (to-2.0.0)',
    );
    await agent(['fleet', 'rollout', 'abort', 'to-2.0.0'], env);

    // This one runs, and the application is ill with it: the device goes back by itself.
    for (const { state } of devices) writeFileSync(join(state, 'ill'), '');
    await publish('3.0.0');
    const third = await rollOut('3.0.0');
    expect(third).toMatchObject({ state: 'paused', counts: { failed: 1, rolledBack: 1 } });
    expect(third.failures).toMatchObject([{ code: 'unhealthy', devices: 1 }]);
    for (const { state } of devices) rmSync(join(state, 'ill'));

    expect(
      devices.map(({ state }) => readlinkSync(join(state, 'models', MODEL, 'current'))),
    ).toEqual(good);
    expect((await shown()).decisions).toMatchObject([told]);
    const rows = await listed();
    expect(rows).toMatchObject(
      devices.map(({ id }, at) => ({
        deviceId: id,
        state: 'online',
        model: { name: MODEL, version: '1.0.0', precision: runs[at]?.precision },
      })),
    );
  });
});
