import { readFileSync, readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { decisionSchema } from '../../agent/contracts/fit.ts';
import { jobRecordSchema, type JobRecord } from '../../agent/contracts/job.ts';
import { releaseSchema } from '../../agent/contracts/release.ts';
import { newKey } from '../deploy/support/keys.ts';
import { watch } from '../daemon/fleet-support.ts';
import type { Watcher } from '../daemon/fleet-support.ts';
import { startDaemon, temporaryFolder, until } from '../daemon/support.ts';
import { hasOpenssl, makeCa, makeCertificate } from '../fleet/support/certificates.ts';
import { afterThisTest } from '../fleet/support/harness.ts';
import { describeWithMosquitto, startMosquitto } from '../fleet/support/mosquitto.ts';
import { Site } from '../fleet/support/site.ts';

jest.setTimeout(180_000);

const JOB_MS = 120_000;
let site: Site;

beforeAll(async () => {
  site = await Site.open();
});

afterAll(async () => {
  await site.close();
});

/** A broker with TLS, and a daemon that was enrolled with the site's root. */
async function device(more = '') {
  const folder = temporaryFolder();
  const ca = makeCa(folder, 'ca');
  const own = makeCertificate(folder, ca, 'broker', 'DNS:localhost,IP:127.0.0.1');
  const tls = [`cafile ${ca.cert}`, `certfile ${own.cert}`, `keyfile ${own.key}`];
  const broker = await startMosquitto(['allow_anonymous true', ...tls]);
  afterThisTest(broker.stop);
  const state = temporaryFolder();
  await site.enrol(state);
  const url = `mqtts://localhost:${broker.port}`;
  const watcher = await watch(broker.port, url, { ca: readFileSync(ca.cert) });
  const yaml = [
    'deviceId: pi-7',
    'mqtt:',
    `  url: ${url}`,
    `  caFile: ${ca.cert}`,
    '  reconnectMinSeconds: 0.05',
    'models:',
    `  repository: ${site.url}`,
    `  switchCommand: echo "$EDGEFIT_MODEL_FILE" >> ${state}/switches`,
    more,
  ].join('\n');
  const daemon = startDaemon(yaml, { state });
  return { state, watcher, daemon };
}

const jobTopic = (jobId: string) => `edgefit/v1/d/pi-7/dn/job/${jobId}`;

function send({ client }: Watcher, jobId: string, document: string) {
  return client.publishAsync(jobTopic(jobId), document, { qos: 1, retain: true });
}

const isOver = ({ status }: JobRecord) => !['QUEUED', 'IN_PROGRESS'].includes(status);

const benched = ({ result }: JobRecord): unknown => Object(result?.['latencyMs']).p90;

async function endOf({ seen }: Watcher, jobId: string): Promise<JobRecord> {
  return until(
    `the end of ${jobId}`,
    () =>
      seen
        .filter(({ topic }) => topic.endsWith(`/up/job/${jobId}`))
        .map(({ document }) => jobRecordSchema.parse(document))
        .find(isOver),
    JOB_MS,
  );
}

describeWithMosquitto('a device', () => {
  const withOpenssl = hasOpenssl() ? test : test.skip;

  withOpenssl('fits what a signed job deploys, refuses a broken gate, goes back', async () => {
    const { state, watcher, daemon } = await device();
    const policy = { precision: 'fp32' };
    const first = await site.publish('1.0.0');
    await send(watcher, 'j1', site.job('j1', { jobType: 'deploy', model: first, policy }));
    const one = await endOf(watcher, 'j1').catch((error: unknown) => {
      throw new Error(daemon.log(), { cause: error });
    });
    expect(one).toMatchObject({ status: 'SUCCEEDED', outcome: 'applied', reason: null });
    const current = join(state, 'models', 'kws', 'current');
    const release = releaseSchema.parse(
      JSON.parse(await readFile(join(current, 'release.json'), 'utf8')),
    );
    expect(release).toMatchObject({ version: '1.0.0', releaseCounter: 1, precision: 'fp32' });
    expect(release.digest).toBe(one.result?.['digest']);
    expect(await readFile(join(state, 'switches'), 'utf8')).toBe(
      `${join(current, release.file)}\n`,
    );
    const twin = await watcher.find('/up/twin', ({ document }) => document['activeModel'] !== null);
    expect(twin.document['activeModel']).toMatchObject({ name: 'kws', version: '1.0.0' });
    // The figures it was chosen by, from the record beside the model and from the report that is sent.
    const { bench, chosen } = decisionSchema.parse(
      JSON.parse(await readFile(join(current, 'decision.json'), 'utf8')),
    );
    const row = bench.candidates.find(({ id }) => id === chosen.id);
    const told = await watcher.find('/up/twin', ({ document }) => document['lastBench'] !== null);
    const { benchId } = Object(told.document['lastBench']);
    expect(told.document['lastBench']).toMatchObject({ p90Ms: row?.latencyMs?.p90 });
    const sent = await watcher.find(`/up/bench/${benchId}`);
    expect(sent.document['chosen']).toBe(chosen.id);

    // No machine runs a model in a nanosecond.
    const second = await site.publish('2.0.0', { gates: { maxP90Ms: 0.000001 } });
    await send(watcher, 'j2', site.job('j2', { jobType: 'deploy', model: second, policy }));
    expect(await endOf(watcher, 'j2')).toMatchObject({
      status: 'FAILED',
      phase: 'fitting',
      outcome: 'no_state_change',
      reason: { code: 'gate_missed' },
    });
    expect(readlinkSync(current)).toBe(join('releases', release.digest));

    const third = await site.publish('3.0.0');
    await send(watcher, 'j3', site.job('j3', { jobType: 'deploy', model: third, policy }));
    expect(await endOf(watcher, 'j3')).toMatchObject({ outcome: 'applied' });
    const back = { jobType: 'rollback', model: { name: 'kws' } };
    await send(watcher, 'j4', site.job('j4', back));
    expect(await endOf(watcher, 'j4')).toMatchObject({ outcome: 'applied' });
    expect(readlinkSync(current)).toBe(join('releases', release.digest));

    const old = site.job('j5', { jobType: 'deploy', model: first, policy });
    await send(watcher, 'j5', old);
    expect(await endOf(watcher, 'j5')).toMatchObject({
      status: 'REJECTED',
      reason: { code: 'old_release' },
    });
    for (const [jobId, job] of [
      ['b1', { jobType: 'bench', model: { name: 'kws' } }],
      ['c1', { jobType: 'config', settings: { tags: ['hall-2'] } }],
      ['s1', { jobType: 'selfcheck' }],
      ['d1', { jobType: 'collect', lines: 20 }],
    ] as const) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await send(watcher, jobId, site.job(jobId, job));
    }
    const b1 = await endOf(watcher, 'b1');
    expect(b1).toMatchObject({ outcome: 'applied' });
    await watcher.find(
      '/up/twin',
      ({ document }) => Object(document['lastBench']).p90Ms === benched(b1),
    );
    expect(await endOf(watcher, 'c1')).toMatchObject({ result: { applied: ['tags'] } });
    expect(await endOf(watcher, 's1')).toMatchObject({ status: 'SUCCEEDED' });
    const collected = await endOf(watcher, 'd1');
    expect(collected.result).toMatchObject({ agent: expect.any(String), log: expect.any(Array) });
  });

  withOpenssl('refuses what it must not believe, with a code, and stays as it is', async () => {
    const { state, watcher, daemon } = await device();
    await watcher.find('/up/birth', ({ document }) => {
      const { keyIds } = document;
      return Array.isArray(keyIds) && keyIds.includes(site.operator.keyId);
    });
    const model = await site.publish('7.0.0', {}, 'vad');
    const deploy = { jobType: 'deploy', model };
    const stranger = newKey();
    const tampered = site.job('t1', deploy).replace('"vad"', '"vbd"');
    const bad: readonly (readonly [string, string, string])[] = [
      ['u1', JSON.stringify({ ...JSON.parse(site.job('u1', deploy)), signatures: [] }), 'unsigned'],
      ['u0', JSON.stringify(JSON.parse(site.job('u0', deploy)).signed), 'unsigned'],
      ['u2', site.job('u2', deploy, stranger), 'unsigned'],
      ['t1', tampered, 'unsigned'],
      ['f1', site.job('f1', { ...deploy, deviceId: 'pi-8' }), 'foreign_device'],
      ['e1', site.job('e1', { ...deploy, expires: '2020-01-01T00:00:00Z' }), 'expired'],
      ['w1', site.job('other', deploy), 'bad_field'],
      ['w2', site.job('w2', { jobType: 'format-disk' }), 'bad_field'],
    ];
    for (const [jobId, document, code] of bad) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await send(watcher, jobId, document);
      // oxlint-disable-next-line no-await-in-loop -- see above
      const record = await endOf(watcher, jobId);
      expect([jobId, record.reason?.code]).toEqual([jobId, code]);
      expect(['REJECTED', 'EXPIRED']).toContain(record.status);
    }
    // A counter far above, then one that was recorded long ago.
    const bench = { jobType: 'bench', model: { name: 'nothing' } };
    await send(watcher, 'n1', site.job('n1', { ...bench, counter: 1000 }));
    expect(await endOf(watcher, 'n1')).toMatchObject({ reason: { code: 'unknown_model' } });
    // Whoever counts on from the twin is told.
    await watcher.find('/up/twin', ({ document }) => Object(document['counters']).job === 1000);
    await send(watcher, 'r1', site.job('r1', { ...deploy, counter: 900 }));
    expect(await endOf(watcher, 'r1')).toMatchObject({
      reason: { code: 'replayed' },
      result: { lowestCounter: 937 },
    });
    // The repository gives out another model than the one that was signed.
    site.server.intercept = ({ path, response }) => {
      if (!path.endsWith('model.onnx')) return false;
      response.writeHead(200).end('x'.repeat(1000));
      return true;
    };
    await send(watcher, 'a1', site.job('a1', { ...deploy, counter: 1001 }));
    const attacked = await endOf(watcher, 'a1');
    site.server.intercept = () => false;
    expect(['wrong_content', 'endless_data']).toContain(attacked.reason?.code);
    expect(attacked.outcome).toBe('no_state_change');
    expect(() => readlinkSync(join(state, 'models', 'vad', 'current'))).toThrow('ENOENT');
    expect(daemon.log()).toContain('"refused"');
  });
});
