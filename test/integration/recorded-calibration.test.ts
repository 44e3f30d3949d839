import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { npyHeader } from '../../agent/calibration/samples/npy.ts';
import { jobRecordSchema, type JobRecord } from '../../agent/contracts/job.ts';
import { calibListSchema, calibRecordSchema } from '../../agent/contracts/recorded.ts';
import { builtModule } from '../../agent/util/paths.ts';
import { watch, yamlFor, type Watcher } from '../daemon/fleet-support.ts';
import { startDaemon, temporaryFolder, until } from '../daemon/support.ts';
import { afterThisTest } from '../fleet/support/harness.ts';
import { describeWithMosquitto, startMosquitto } from '../fleet/support/mosquitto.ts';
import { Site } from '../fleet/support/site.ts';

jest.setTimeout(240_000);

const JOB_MS = 120_000;
/** What the application sees; no other number in this test is like it. */
const SECRET = 12_345.678;
const POLICY = { precision: 'fp32' };

let site: Site;

beforeAll(async () => {
  site = await Site.open();
});

afterAll(async () => {
  await site.close();
});

function samples(count: number, value: (at: number) => number): Buffer {
  const data = Float32Array.from({ length: count * 8 }, (_, at) => value(at));
  return Buffer.concat([npyHeader('float32', [count, 8]), Buffer.from(data.buffer)]);
}

/** A package with samples of its own, which asks for those of the device. */
function publish(version: string) {
  const folder = join(site.folder, `package-kws-${version}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'samples.npy'), samples(50, Math.sin));
  return site.publish(version, {
    samples: {
      calibration: { path: 'samples.npy', to: 40 },
      evaluation: { path: 'samples.npy', from: 40 },
    },
    policy: { calibration: 'recorded' },
  });
}

async function endOf({ seen }: Watcher, jobId: string): Promise<JobRecord> {
  return until(
    `the end of ${jobId}`,
    () =>
      seen
        .filter(({ topic }) => topic.endsWith(`/up/job/${jobId}`))
        .map(({ document }) => jobRecordSchema.parse(document))
        .find(({ status }) => !['QUEUED', 'IN_PROGRESS'].includes(status)),
    JOB_MS,
  );
}

/** `agent calib`, as a user types it. */
async function calib(state: string, ...args: readonly string[]): Promise<string> {
  const config = ['--config', join(state, 'agent.yaml')];
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [builtModule('cli/main'), 'calib', ...args, ...config],
    { env: { PATH: process.env['PATH'], EDGEFIT_STATE_DIR: state }, timeout: 60_000 },
  );
  return stdout;
}

const sets = async (state: string) =>
  calibListSchema.parse(JSON.parse(await calib(state, 'ls', '--json'))).sets;

describeWithMosquitto('a device that records', () => {
  test('is fitted with its own inputs, which never leave it', async () => {
    const broker = await startMosquitto(['allow_anonymous true']);
    afterThisTest(broker.stop);
    const state = temporaryFolder();
    await site.enrol(state);
    const watcher = await watch(broker.port);
    const yaml = yamlFor(
      broker.port,
      `models: { repository: "${site.url}" }\ncalibration: { record: true, maxPerSecond: 1000 }`,
    );
    const daemon = startDaemon(yaml, { state });
    const run = async (jobId: string, job: Readonly<Record<string, unknown>>) => {
      const topic = `edgefit/v1/d/pi-7/dn/job/${jobId}`;
      const options = { qos: 1, retain: true } as const;
      await watcher.client.publishAsync(topic, site.job(jobId, job), options);
      return endOf(watcher, jobId);
    };
    const socket = join(state, 'run', 'record.sock');
    await until('the socket', () => statSync(socket, { throwIfNoEntry: false })?.isSocket());

    const file = join(state, 'inputs.npy');
    writeFileSync(
      file,
      samples(40, (at) => SECRET + at),
    );
    await expect(calib(state, 'record', 'kws', file)).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no model kws is installed here (UNKNOWN_MODEL)'),
    });

    const first = await publish('1.0.0');
    const one = await run('j1', { jobType: 'deploy', model: first, policy: POLICY });
    expect(one.result).toMatchObject({
      calibration: { source: 'package', samples: 40, why: 'nothing is recorded of this model' },
    });

    const text = await calib(state, 'record', 'kws', file, '--json');
    expect(calibRecordSchema.parse(JSON.parse(text))).toMatchObject({ offered: 40, kept: 40 });
    expect(await sets(state)).toMatchObject([{ model: 'kws', samples: 40, seen: 40 }]);

    // Taking samples brings no native library into the daemon, nor what reads files of samples.
    const maps = readFileSync(`/proc/${String(daemon.child.pid)}/maps`, 'utf8');
    expect(maps).not.toMatch(/onnxruntime|tflite|libvips|sharp/i);

    const second = await publish('2.0.0');
    const two = await run('j2', { jobType: 'deploy', model: second, policy: POLICY });
    expect(two).toMatchObject({
      outcome: 'applied',
      result: { calibration: { source: 'recorded', samples: 40 } },
    });
    // The job has the last word, and the same package with other samples is not the cached one.
    const policy = { ...POLICY, calibration: 'package' };
    const three = await run('j3', { jobType: 'deploy', model: await publish('3.0.0'), policy });
    expect(three.result).toMatchObject({ calibration: { source: 'package', samples: 40 } });
    expect(three.result?.['calibration']).not.toHaveProperty('why');

    // Killed, it goes on where it was; the application may end a message as a shell does.
    daemon.child.kill('SIGKILL');
    await daemon.ended;
    startDaemon(yaml, { state });
    await until('the socket', () => calib(state, 'record', 'kws', file).catch(() => false));
    expect(await sets(state)).toMatchObject([{ samples: 80, seen: 80 }]);

    const four = await run('d1', { jobType: 'collect', lines: 1000 });
    expect(four.status).toBe('SUCCEEDED');
    await until('the log', () => JSON.stringify(watcher.seen).includes('handed over'));
    const said = JSON.stringify(watcher.seen);
    const bytes = Buffer.from(Float32Array.from([SECRET, SECRET + 1, SECRET + 2]).buffer);
    // The same nine bytes and more look different in base64 by where they begin.
    const coded = [0, 1, 2].map((from) => bytes.subarray(from, from + 9).toString('base64'));
    for (const form of ['12345.', bytes.toString('hex'), ...coded, '.npz']) {
      expect(said).not.toContain(form);
    }
    // It is on the device: the search was for the right thing.
    const kept = readFileSync(join(state, 'recorded', 'kws', '000000000000.npz'));
    expect(kept.includes(bytes)).toBe(true);

    expect(await calib(state, 'clear', 'kws')).toBe('removed: kws\n');
    expect(await sets(state)).toEqual([]);
  });

  test('does so only where it was told to', async () => {
    const broker = await startMosquitto(['allow_anonymous true']);
    afterThisTest(broker.stop);
    const state = temporaryFolder();
    const watcher = await watch(broker.port);
    startDaemon(yamlFor(broker.port), { state });
    await watcher.find('/up/birth');
    expect(statSync(join(state, 'run', 'record.sock'), { throwIfNoEntry: false })).toBeUndefined();
    await expect(calib(state, 'record', 'kws', '-')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('set calibration.record: true and start agent run'),
    });
  });
});
