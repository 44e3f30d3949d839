import { existsSync, readdirSync, readFileSync, watch as watchFolder } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { jobRecordSchema, type JobPhase, type JobRecord } from '../../agent/contracts/job.ts';
import { readAgents } from '../../agent/util/agents.ts';
import { agentVersion } from '../../agent/util/version.ts';
import { AgentArchives, lendDependencies } from '../daemon/agent-archives.ts';
import { watch, type Watcher } from '../daemon/fleet-support.ts';
import { startDaemon, temporaryFolder, until } from '../daemon/support.ts';
import { supervise } from '../daemon/supervisor.ts';
import { newKey } from '../deploy/support/keys.ts';
import { afterThisTest } from '../fleet/support/harness.ts';
import { describeWithMosquitto, startMosquitto } from '../fleet/support/mosquitto.ts';
import { Site } from '../fleet/support/site.ts';

jest.setTimeout(180_000);
const JOB_MS = 60_000;

let site: Site;
let archives: AgentArchives;
let folder: string;

beforeAll(async () => {
  site = await Site.open();
  folder = site.folder;
  archives = new AgentArchives(join(folder, 'archives'));
});

afterAll(() => site.close());

async function device() {
  const broker = await startMosquitto(['allow_anonymous true', 'persistent_client_expiration 1h']);
  afterThisTest(broker.stop);
  const state = temporaryFolder();
  lendDependencies(state);
  await site.enrol(state);
  const watcher = await watch(broker.port);
  const yaml = [
    'deviceId: pi-7',
    `mqtt: { url: "mqtt://127.0.0.1:${broker.port}", reconnectMinSeconds: 0.05 }`,
    `models: { repository: "${site.url}" }`,
  ].join('\n');
  return { state, watcher, yaml };
}

async function send({ client }: Watcher, jobId: string, job: object, key = site.operator) {
  const document = site.job(jobId, { jobType: 'selfupdate', ...job }, key);
  await client.publishAsync(`edgefit/v1/d/pi-7/dn/job/${jobId}`, document, {
    qos: 1,
    retain: true,
  });
}

const recordsOf = ({ seen }: Watcher, jobId: string) =>
  seen
    .filter(({ topic }) => topic.endsWith(`/up/job/${jobId}`))
    .map(({ document }) => jobRecordSchema.parse(document));

async function endOf(watcher: Watcher, jobId: string, log: () => string): Promise<JobRecord> {
  const find = () =>
    recordsOf(watcher, jobId).find(({ status }) => !['QUEUED', 'IN_PROGRESS'].includes(status));
  const last = await until(`the end of ${jobId}`, find, JOB_MS).catch((error: unknown) => {
    throw new Error(log(), { cause: error });
  });
  // What it said without a connection is missing.
  const seqs = recordsOf(watcher, jobId).map(({ seq }) => seq);
  expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
  return last;
}

const bornAs = (watcher: Watcher, version: string, from: number) =>
  watcher.find('/up/birth', ({ document }) => document['agent'] === version, from);

describeWithMosquitto('a device that updates its agent', () => {
  test('takes a good one, and goes back from one that does not start', async () => {
    const { state, watcher, yaml } = await device();
    const old = await site.publishAgent(archives.make('9.0.0'));
    const good = await site.publishAgent(archives.make('9.0.1'));
    const { log } = supervise(yaml, state);
    await send(watcher, 'u1', { agent: good });
    expect(await endOf(watcher, 'u1', log)).toMatchObject({
      status: 'SUCCEEDED',
      outcome: 'applied',
      result: { version: '9.0.1' },
    });
    await bornAs(watcher, '9.0.1', 0);
    const agents = await readAgents(join(state, 'agents'));
    expect(agents).toMatchObject({ previous: null, trial: null, shipped: agentVersion() });
    expect(readdirSync(join(state, 'agents')).toSorted()).toEqual(['releases', 'state.json']);

    const crash = `import { appendFileSync } from 'node:fs';
      if (process.argv[2] === 'run') {
        appendFileSync(process.env.STATE_DIRECTORY + '/starts', 'x');
        process.exit(1);
      }`;
    const bad = await site.publishAgent(archives.make('9.0.2', { before: crash }));
    const from = watcher.seen.length;
    await send(watcher, 'u2', { agent: bad });
    expect(await endOf(watcher, 'u2', log)).toMatchObject({
      status: 'FAILED',
      outcome: 'rolled_back',
      reason: { code: 'agent_failed' },
      result: { restored: '9.0.1' },
    });
    expect(readFileSync(join(state, 'starts'), 'utf8')).toBe('xxx');
    await bornAs(watcher, '9.0.1', from);
    expect(await readAgents(join(state, 'agents'))).toMatchObject({ current: agents?.current });
    expect(readdirSync(join(state, 'agents/releases'))).toEqual([agents?.current]);

    await send(watcher, 'u3', { agent: old });
    expect(await endOf(watcher, 'u3', log)).toMatchObject({
      status: 'REJECTED',
      reason: { code: 'old_release' },
    });
    await send(watcher, 'u4', { agent: good });
    expect(await endOf(watcher, 'u4', log)).toMatchObject({ outcome: 'noop_already_installed' });
  });

  test('goes back from one that does not reach the broker', async () => {
    const { state, watcher, yaml } = await device();
    const deaf = `if (process.argv[2] === 'run') process.env.EDGEFIT_MQTT_URL = 'mqtt://127.0.0.1:1';`;
    const agent = await site.publishAgent(archives.make('9.1.0', { before: deaf }));
    const { log } = supervise(yaml, state);
    await send(watcher, 'u1', { agent, limits: { phaseSeconds: { probing: 2 } } });
    expect(await endOf(watcher, 'u1', log)).toMatchObject({
      status: 'FAILED',
      outcome: 'rolled_back',
      reason: { code: 'phase_timeout' },
      result: { restored: agentVersion() },
    });
  });

  test('goes back from one that does not understand the configuration', async () => {
    const { state, watcher, yaml } = await device();
    const strict = `if (process.argv[2] === 'run') process.env.EDGEFIT_MQTT_URL = 'nonsense';`;
    const agent = await site.publishAgent(archives.make('9.1.1', { before: strict }));
    const { log } = supervise(yaml, state);
    await send(watcher, 'u1', { agent });
    expect(await endOf(watcher, 'u1', log)).toMatchObject({
      status: 'FAILED',
      outcome: 'rolled_back',
      reason: { code: 'agent_failed' },
    });
  });

  test('refuses what is not signed, changed on the way, or for other machines', async () => {
    const { state, watcher, yaml } = await device();
    const agent = await site.publishAgent(archives.make('9.2.0'));
    const { log } = supervise(yaml, state);
    await watcher.find('/up/birth', ({ document }) => {
      const { keyIds } = document;
      return Array.isArray(keyIds) && keyIds.includes(site.operator.keyId);
    });
    await send(watcher, 'u1', { agent }, newKey());
    expect((await endOf(watcher, 'u1', log)).reason?.code).toBe('unsigned');
    const releaseCounter = agent.releaseCounter + 1;
    await send(watcher, 'u2', { agent: { ...agent, releaseCounter } });
    expect((await endOf(watcher, 'u2', log)).reason?.code).toBe('mix_and_match');
    await send(watcher, 'u3', { agent: { version: '9.9.9', releaseCounter } });
    expect((await endOf(watcher, 'u3', log)).reason?.code).toBe('missing');
    site.server.intercept = ({ path, response }) => {
      if (!path.endsWith('.tar.gz')) return false;
      response.writeHead(200).end('x'.repeat(1000));
      return true;
    };
    await send(watcher, 'u4', { agent, limits: { phaseSeconds: { downloading: 2 } } });
    const attacked = await endOf(watcher, 'u4', log);
    site.server.intercept = () => false;
    expect(attacked).toMatchObject({ phase: 'downloading', outcome: 'no_state_change' });
    const broken = archives.make('9.2.1', { before: 'process.exit(3);' });
    await send(watcher, 'u5', { agent: await site.publishAgent(broken) });
    expect(await endOf(watcher, 'u5', log)).toMatchObject({
      phase: 'staged',
      outcome: 'no_state_change',
      reason: { code: 'gate_missed' },
    });
    expect(await readAgents(join(state, 'agents'))).toBeNull();
  });

  test('a daemon without the launcher says that it cannot', async () => {
    const { state, watcher, yaml } = await device();
    const { log } = startDaemon(yaml, { state });
    await send(watcher, 'u1', { agent: { version: '9.3.0', releaseCounter: 1 } });
    const { status, reason } = await endOf(watcher, 'u1', log);
    expect({ status, code: reason?.code }).toEqual({ status: 'REJECTED', code: 'unsupported' });
    expect(reason?.text).toContain('launcher');
  });

  const PHASES: readonly JobPhase[] = [
    'downloading',
    'verifying',
    'staged',
    'activating',
    'probing',
    'committing',
  ];

  test('killed in any phase it goes on, once', async () => {
    const { state, watcher, yaml } = await device();
    const { log, kill, starts } = supervise(yaml, state);
    await watcher.find('/up/birth');
    for (const [index, phase] of PHASES.entries()) {
      const jobId = `k${index}`;
      const version = `9.4.${index}`;
      /* oxlint-disable no-await-in-loop -- one update after the other */
      const agent = await site.publishAgent(archives.make(version));
      const journal = join(state, 'jobs', `${jobId}.json`);
      let killed = false;
      const watching = watchFolder(join(state, 'jobs'), () => {
        if (killed || !existsSync(journal)) return;
        if (JSON.parse(readFileSync(journal, 'utf8')).phase !== phase) return;
        killed = true;
        kill();
      });
      afterThisTest(() => watching.close());
      const before = starts();
      await send(watcher, jobId, { agent });
      const last = await endOf(watcher, jobId, log);
      expect({ phase, killed, outcome: last.outcome, reason: last.reason }).toEqual({
        phase,
        killed: true,
        outcome: 'applied',
        reason: null,
      });
      expect(starts()).toBeGreaterThan(before);
      expect(await readAgents(join(state, 'agents'))).toMatchObject({ trial: null });
      /* oxlint-enable no-await-in-loop */
    }
  });
});
