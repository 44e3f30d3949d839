import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, jest, test } from '@jest/globals';
import { z } from 'zod';
import { jobRecordSchema, type JobRecord } from '../../agent/contracts/job.ts';
import { metrics } from '../../agent/contracts/metrics.ts';
import { telemetryStreams } from '../../agent/contracts/ids.ts';
import { deviceFamilies } from '../../agent/daemon/device-families.ts';
import { JobTally } from '../../agent/daemon/job-tally.ts';
import { buildInfo, fleetFamilies } from '../../agent/telemetry/families.ts';
import { serveMetrics } from '../../agent/telemetry/metrics-server.ts';
import type { Latest } from '../../agent/telemetry/streams.ts';
import { yamlFor } from '../daemon/fleet-support.ts';
import { startDaemon, temporaryFolder, until } from '../daemon/support.ts';
import { afterThisTest } from '../fleet/support/harness.ts';
import { freePort, startMosquitto } from '../fleet/support/mosquitto.ts';
import { programPath, testIf } from '../support/available.ts';
import { alertRules, dashboardQueries } from './support.ts';

jest.setTimeout(90_000);

const MODEL = { name: 'kws', version: '1.0.0', precision: 'int8' } as const;
const KWS = {
  ...MODEL,
  runtime: 'onnxruntime' as const,
  digest: 'd',
  values: { p50Ms: 1.5, p90Ms: 2, p99Ms: 4, driftRatio: 1.25, accuracy: 0.9, sqnrDb: 30 },
  drifting: [],
};

const record = (jobId: string, more: Partial<JobRecord>): JobRecord =>
  jobRecordSchema.parse({
    schema: 'edgefit/job/1',
    deviceId: 'pi-7',
    jobId,
    jobType: 'deploy',
    rolloutId: null,
    digest: null,
    seq: 1,
    status: 'IN_PROGRESS',
    phase: 'fitting',
    attempt: 1,
    outcome: null,
    reason: null,
    progress: null,
    result: null,
    phases: { fitting: 12_000, activating: 40 },
    ts: '2026-01-02T03:04:05.000Z',
    mono: 1,
    bootId: null,
    ...more,
  });

/** A board that has every sensor, in this process. */
function everything() {
  const tally = new JobTally();
  const latest = (): readonly Latest[] =>
    telemetryStreams.map((stream) => ({
      stream,
      model: stream === 'infer' ? MODEL : null,
      values: Object.fromEntries(
        metrics.filter((one) => one.stream === stream).map(({ name }) => [name, 7]),
      ),
    }));
  const models = () => new Map([['kws', KWS]]);
  const families = deviceFamilies({
    agent: '1.2.3',
    latest,
    models,
    isConnected: () => true,
    tally,
  });
  return { tally, families };
}

const FLEET = {
  devices: [
    { state: 'online', class: 'rpi-5', count: 9 },
    { state: 'offline', class: 'rpi-5', count: 1 },
  ],
  models: [{ model: 'kws', version: '1.0.0', precision: 'int8', count: 9 }],
  rollouts: [{ rollout: 'r1', state: 'running', status: 'succeeded', count: 4 }],
  leader: true,
  connected: true,
};

const metricsOf = async (port: number): Promise<string> => {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  expect(response.status).toBe(200);
  return response.text();
};

/** What promtool has against a page of metrics; nothing when all is well. */
async function complaints(text: string): Promise<string> {
  const child = execFile(programPath('promtool') ?? '', ['check', 'metrics']);
  let said = '';
  child.stdout?.on('data', (piece) => (said += String(piece)));
  child.stderr?.on('data', (piece) => (said += String(piece)));
  child.stdin?.end(text);
  const [code] = await once(child, 'close');
  return code === 0 ? said : `${said} (exit code ${code})`;
}

const answerSchema = z.object({
  status: z.literal('success'),
  data: z.object({ result: z.array(z.unknown()) }),
});

async function startPrometheus(targets: Readonly<Record<string, readonly number[]>>) {
  const folder = temporaryFolder();
  const jobs = Object.entries(targets).map(
    ([job, ports]) =>
      `  - job_name: ${job}\n    static_configs:\n      - targets: [${ports.map((port) => `'127.0.0.1:${port}'`).join(', ')}]\n`,
  );
  const config = join(folder, 'prometheus.yml');
  writeFileSync(config, `global:\n  scrape_interval: 1s\nscrape_configs:\n${jobs.join('')}`);
  const port = await freePort();
  const child = spawn(
    programPath('prometheus') ?? '',
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  );
  const ended = once(child, 'close');
  afterThisTest(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return async (expr: string): Promise<number> => {
    const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(expr)}`;
    const response = await fetch(url);
    const answer = answerSchema.safeParse(await response.json());
    if (!answer.success) throw new Error(`${expr}: ${JSON.stringify(answer.error.issues)}`);
    return answer.data.data.result.length;
  };
}

testIf('prometheus', 'mosquitto')(
  'Prometheus scrapes a daemon, and every query of the dashboard and the alerts has an answer',
  async () => {
    const broker = await startMosquitto(['allow_anonymous true']);
    afterThisTest(broker.stop);
    const state = temporaryFolder();
    writeFileSync(join(state, 'infer.json'), JSON.stringify({ v: 1, models: { kws: KWS } }));
    const port = await freePort();
    const more = `telemetry:\n  schedule: "* * * * * *"\nmetrics:\n  listen: 127.0.0.1:${port}`;
    const daemon = startDaemon(yamlFor(broker.port, more), { state });
    const own = await until('the endpoint', () => metricsOf(port).catch(() => undefined)).catch(
      (error: unknown) => {
        throw new Error(daemon.log(), { cause: error });
      },
    );
    expect(await complaints(own)).toBe('');
    await until('the broker', async () => (await metricsOf(port)).includes('mqtt_connected 1'));
    const text = await metricsOf(port);
    expect(text).toMatch(/^edgefit_benchmark_latency_seconds\{.*percentile="90".*\} 0.002$/m);
    expect(text).toMatch(/^edgefit_benchmark_latency_seconds\{.*model="kws".*precision="int8"/m);
    expect(text).toMatch(/^edgefit_model_info\{model="kws",version="1.0.0".*\} 1$/m);
    expect(text).toMatch(/^edgefit_jobs_total\{type="deploy",outcome="rolled_back"\} 0$/m);
    expect(text).toMatch(/^edgefit_disk_free_bytes \d/m);

    const { tally, families } = everything();
    const board = await serveMetrics({ listen: '127.0.0.1:0', families });
    const controller = await serveMetrics({
      listen: '127.0.0.1:0',
      families: [buildInfo('1.2.3'), ...fleetFamilies(() => FLEET)],
    });
    afterThisTest(async () => {
      await Promise.all([board.close(), controller.close()]);
    });
    expect(await complaints(await metricsOf(controller.port))).toBe('');
    tally.add(record('j1', {}));
    tally.add(record('j1', { status: 'SUCCEEDED', outcome: 'applied' }));
    // Told again with every connection, it counts once.
    tally.add(record('j1', { status: 'SUCCEEDED', outcome: 'applied' }));
    expect(await complaints(await metricsOf(board.port))).toBe('');

    const count = await startPrometheus({
      edgefit: [port, board.port],
      'edgefit-controller': [controller.port],
    });
    await until('three targets', async () => {
      return (await count('count_over_time(up[1m]) > 1').catch(() => 0)) === 3;
    });
    tally.add(record('j2', {}));
    tally.add(record('j2', { status: 'FAILED', outcome: 'rolled_back' }));
    for (const { panel, expr } of dashboardQueries()) {
      // oxlint-disable-next-line no-await-in-loop -- rates need a second scrape, then they are there
      await until(`an answer to "${expr}" of "${panel}"`, async () => (await count(expr)) > 0);
    }
    for (const { alert, expr } of alertRules()) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const fires = (await count(expr)) > 0;
      expect([alert, fires]).toEqual([alert, EXPECTED.includes(alert)]);
    }
  },
);

/** What holds on a board whose every value is 7, and whose job was rolled back. */
const EXPECTED = ['EdgefitLatencyDrift', 'EdgefitJobsGoBack'];

test('the endpoint answers nothing else, and says when its port is taken', async () => {
  const { families } = everything();
  const server = await serveMetrics({ listen: '127.0.0.1:0', families });
  afterThisTest(server.close);
  const at = `http://127.0.0.1:${server.port}`;
  expect((await fetch(`${at}/`)).status).toBe(404);
  expect((await fetch(`${at}/metrics`, { method: 'POST' })).status).toBe(405);
  const head = await fetch(`${at}/metrics`, { method: 'HEAD' });
  expect([head.status, await head.text()]).toEqual([200, '']);
  const again = serveMetrics({ listen: `127.0.0.1:${server.port}`, families });
  await expect(again).rejects.toMatchObject({
    code: 'LISTEN',
    message: expect.stringContaining('in use'),
  });
});
