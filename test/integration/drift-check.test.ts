import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { jobRecordSchema } from '../../agent/contracts/job.ts';
import { telemetrySchema } from '../../agent/contracts/telemetry.ts';
import { npy, npz } from '../calibration/make-arrays.ts';
import { watch } from '../daemon/fleet-support.ts';
import { startDaemon, temporaryFolder, until } from '../daemon/support.ts';
import { afterThisTest } from '../fleet/support/harness.ts';
import { describeWithMosquitto, startMosquitto } from '../fleet/support/mosquitto.ts';
import { Site } from '../fleet/support/site.ts';

jest.setTimeout(120_000);

let site: Site;
beforeAll(async () => {
  site = await Site.open();
});
afterAll(async () => {
  await site.close();
});

const COUNT = 12;

/** Inputs whose largest output is known for the first nine; the last three labels are wrong. */
function samples(): Uint8Array {
  const x = Float32Array.from({ length: COUNT * 8 }, (_, at) => Math.cos(at * 1.7));
  const weights = Float32Array.from({ length: 32 }, (_, at) => Math.sin(at + 1));
  const labels = Int32Array.from({ length: COUNT }, (_, sample) => {
    const outputs = [0, 1, 2, 3].map((output) =>
      Array.from({ length: 8 }, (_value, at) => at).reduce(
        (sum, at) => sum + (x[sample * 8 + at] ?? 0) * (weights[at * 4 + output] ?? 0),
        0,
      ),
    );
    const best = outputs.indexOf(Math.max(...outputs));
    return sample < 9 ? best : (best + 1) % 4;
  });
  return npz({ x: npy('<f4', [COUNT, 8], x), labels: npy('<i4', [COUNT], labels) });
}

describeWithMosquitto('a drift check', () => {
  test('measures latency and accuracy of what runs, by schedule, on samples that were kept', async () => {
    const broker = await startMosquitto(['allow_anonymous true']);
    afterThisTest(broker.stop);
    const state = temporaryFolder();
    await site.enrol(state);
    const watcher = await watch(broker.port);
    const yaml = [
      'deviceId: pi-7',
      'mqtt:',
      `  url: mqtt://127.0.0.1:${broker.port}`,
      'models:',
      `  repository: ${site.url}`,
      'telemetry:',
      '  benchSchedule: off',
      '  driftSchedule: "*/3 * * * * *"',
      '  jitterMinutes: 0',
      // Whatever else the machine does, this is no drift.
      '  maxP90Ratio: 1000',
    ].join('\n');
    const daemon = startDaemon(yaml, { state });
    const manifest = {
      inputs: { x: { array: {} } },
      task: { kind: 'classification' },
      samples: { evaluation: { path: 'evaluation.npz' } },
    };
    const files = { 'evaluation.npz': samples() };
    const model = await site.publish('1.0.0', manifest, 'kws', files);
    const job = site.job('j1', { jobType: 'deploy', model, policy: { precision: 'fp32' } });
    const topic = 'edgefit/v1/d/pi-7/dn/job/j1';
    await watcher.client.publishAsync(topic, job, { qos: 1, retain: true });
    const ended = await until(
      'the deployment',
      () =>
        watcher.seen
          .filter((seen) => seen.topic.endsWith('/up/job/j1'))
          .map(({ document }) => jobRecordSchema.parse(document))
          .find(({ outcome }) => outcome !== null),
      60_000,
    ).catch((error: unknown) => {
      throw new Error(daemon.log(), { cause: error });
    });
    expect(ended).toMatchObject({ status: 'SUCCEEDED', outcome: 'applied' });
    const kept = join(state, 'evaluation', 'kws', '1.0.0');
    expect(existsSync(join(state, 'packages', 'kws', '1.0.0'))).toBe(false);
    expect(readFileSync(join(kept, 'evaluation.npz'))).toEqual(
      Buffer.from(files['evaluation.npz']),
    );

    const from = watcher.seen.length;
    const twin = await until(
      'a drift check',
      () =>
        watcher.seen
          .slice(from)
          .filter((seen) => seen.topic.endsWith('/up/twin'))
          .map(({ document }) => Object(document['lastBench']))
          .find(({ p90Ms }) => typeof p90Ms === 'number'),
      60_000,
    ).catch((error: unknown) => {
      throw new Error(daemon.log(), { cause: error });
    });
    // 9 of 12 labels are right.
    expect(twin.accuracy).toEqual({ metric: 'top1', value: 0.75 });
    const report = await watcher.find(`/up/bench/${twin.benchId}`);
    expect(report.document['candidates']).toHaveLength(1);
    // Samples are taken every 10 s, beside measurements that may take as long on a busy machine.
    const told = await until(
      'what was measured',
      () =>
        watcher.seen.find(
          ({ topic: at, document }) =>
            at.endsWith('/up/tele/infer') && Object(document['values']).p90Ms !== undefined,
        ),
      60_000,
    );
    const { model: about, values } = telemetrySchema.parse(told.document);
    expect(about).toEqual({ name: 'kws', version: '1.0.0', precision: 'fp32' });
    expect(values['driftRatio'] ?? values['p90Ms']).toBeGreaterThan(0);
    expect(watcher.seen.some((seen) => seen.topic.includes('/up/event/'))).toBe(false);
  });
});
