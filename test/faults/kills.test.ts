import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readlinkSync, watch as watchFolder, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, jest, test } from '@jest/globals';
import { jobRecordSchema, type JobRecord } from '../../agent/contracts/job.ts';
import { watch, type Watcher } from '../daemon/fleet-support.ts';
import { temporaryFolder, until } from '../daemon/support.ts';
import { afterThisTest } from '../fleet/support/harness.ts';
import { describeWithMosquitto, startMosquitto } from '../fleet/support/mosquitto.ts';
import { Site } from '../fleet/support/site.ts';
import { isOver, STAND_IN, wrongWithCurrent } from './device.ts';
import { report } from './results.ts';

/** 500 in a full run: scripts/test-faults.js says how many. */
const KILLS = Number(process.env['EDGEFIT_FAULTS_KILLS'] ?? 12);
/** How long it lives from when it is online, so that a slow machine gets on, too. */
const MAX_LIFE_MS = 2000;
/** Some are killed while they start. */
const EARLY_SHARE = 0.2;
const ONLINE_MS = 30_000;
const JOB_MS = 120_000;

jest.setTimeout(120_000 + KILLS * 6000);

interface Setting {
  readonly state: string;
  readonly site: Site;
  readonly watcher: Watcher;
  readonly start: () => ChildProcess;
}

async function setUp(): Promise<Setting> {
  const site = await Site.open();
  afterThisTest(() => site.close());
  const broker = await startMosquitto(['allow_anonymous true', 'persistent_client_expiration 1h']);
  afterThisTest(broker.stop);
  const state = temporaryFolder();
  await site.enrol(state);
  const config = join(state, 'agent.yaml');
  const lines = [
    'deviceId: pi-7',
    `mqtt: { url: "mqtt://127.0.0.1:${broker.port}", reconnectMinSeconds: 0.05 }`,
    `models: { repository: "${site.url}" }`,
  ];
  writeFileSync(config, lines.join('\n'));
  const env = { PATH: process.env['PATH'], EDGEFIT_STATE_DIR: state, STAND_IN_MS: '60' };
  const args = [join(import.meta.dirname, 'daemon.js'), config, STAND_IN];
  const start = () => {
    const child = spawn(process.execPath, args, { env, stdio: 'ignore' });
    afterThisTest(() => void child.kill('SIGKILL'));
    return child;
  };
  return { state, site, watcher: await watch(broker.port), start };
}

/** Every time `current` is pointed somewhere, the release it then names. */
function watchSwitches(state: string): readonly string[] {
  const folder = join(state, 'models', 'kws');
  mkdirSync(folder, { recursive: true });
  const switches: string[] = [];
  const watcher = watchFolder(folder, (_event, name) => {
    if (name !== 'current') return;
    try {
      switches.push(basename(readlinkSync(join(folder, 'current'))));
    } catch {
      // The first release was taken back: there is nothing to run.
    }
  });
  afterThisTest(() => watcher.close());
  return switches;
}

/** Without the empty message that takes the record of a finished job away. */
function recordsOf({ seen }: Watcher, jobId: string): readonly JobRecord[] {
  return seen
    .filter(({ topic, document }) => topic.endsWith(`/up/job/${jobId}`) && 'schema' in document)
    .map(({ document }) => jobRecordSchema.parse(document));
}

/** A record that has ended stays as it is, and none goes back. */
function isLegal(records: readonly JobRecord[]): boolean {
  return records.every((record, at) => {
    const before = records[at - 1];
    if (before === undefined) return true;
    return isOver(before) ? record.seq === before.seq : record.seq >= before.seq;
  });
}

/** Deploys one version after the other until it is told to stop; each must come to an end. */
async function deployAll({ site, watcher }: Setting, isEnough: () => boolean) {
  const ends: JobRecord[] = [];
  const lost: string[] = [];
  while (!isEnough()) {
    const jobId = `j${ends.length + lost.length + 1}`;
    const topic = `edgefit/v1/d/pi-7/dn/job/${jobId}`;
    const version = `${ends.length + lost.length + 1}.0.0`;
    // oxlint-disable-next-line no-await-in-loop -- one job after the other
    const model = await site.publish(version);
    const document = site.job(jobId, { jobType: 'deploy', model });
    // oxlint-disable-next-line no-await-in-loop -- see above
    await watcher.client.publishAsync(topic, document, { qos: 1, retain: true });
    // oxlint-disable-next-line no-await-in-loop -- see above
    const end = await until(jobId, () => recordsOf(watcher, jobId).find(isOver), JOB_MS).catch(
      () => null,
    );
    if (end === null) lost.push(jobId);
    else ends.push(end);
    // oxlint-disable-next-line no-await-in-loop -- see above
    await watcher.client.publishAsync(topic, '', { qos: 1, retain: true });
  }
  return { ends, lost };
}

/** A way back that was killed too often counts as failed, whether or not it had switched by then. */
const WAYS_BACK: ReadonlySet<string | null> = new Set(['rolled_back', 'rollback_failed']);

/** Switches to a release beyond the first, and beyond those that a way back accounts for. */
function duplicatesIn(switches: readonly string[], ends: readonly JobRecord[]): number {
  const backs = ends.filter(({ outcome }) => WAYS_BACK.has(outcome)).length;
  const seen = new Map<string, number>();
  for (const digest of switches) seen.set(digest, (seen.get(digest) ?? 0) + 1);
  const again = [...seen.values()].reduce((sum, times) => sum + times - 1, 0);
  return Math.max(0, again - backs);
}

/** Until somewhere in its work, or in its start. */
async function aWhile({ seen }: Watcher): Promise<void> {
  const from = seen.length;
  const isOnline = () =>
    seen.slice(from).some(({ topic, document }) => {
      return topic.endsWith('/up/status') && document['state'] === 'online';
    });
  if (Math.random() > EARLY_SHARE) await until('it is online', isOnline, ONLINE_MS);
  await sleep(Math.random() * MAX_LIFE_MS);
}

describeWithMosquitto('a daemon that is killed again and again', () => {
  test(`${KILLS} times: always a whole model, no job lost, none done twice`, async () => {
    const setting = await setUp();
    const { state, watcher, start } = setting;
    const switches = watchSwitches(state);
    let [kills, invalid] = [0, 0];
    let daemon = start();
    const jobs = deployAll(setting, () => kills >= KILLS);
    while (kills < KILLS) {
      // oxlint-disable-next-line no-await-in-loop -- a life of some length
      await aWhile(watcher);
      const gone = once(daemon, 'exit');
      daemon.kill('SIGKILL');
      // oxlint-disable-next-line no-await-in-loop -- see above
      await gone;
      kills += 1;
      // oxlint-disable-next-line no-await-in-loop -- see above
      if ((await wrongWithCurrent(state)) !== null) invalid += 1;
      daemon = start();
    }
    const { ends, lost } = await jobs;
    const illegal = ends.filter(({ jobId }) => !isLegal(recordsOf(watcher, jobId)));
    const duplicateActivations = duplicatesIn(switches, ends);
    const outcomes = ends.map(({ outcome, reason }) =>
      [outcome, reason?.code].filter((part) => part !== undefined).join(' after '),
    );
    const names = [...new Set(outcomes)];
    const text = names.map((name) => `${name} ${outcomes.filter((one) => one === name).length}`);
    process.stderr.write(
      `\n${kills} kills, ${ends.length} jobs (${text.join(', ')}), ${switches.length} switches\n`,
    );
    if (duplicateActivations > 0) process.stderr.write(`switches: ${switches.join(' ')}\n`);
    for (const { jobId } of illegal) {
      const steps = recordsOf(watcher, jobId).map(({ seq, status, phase }) => [seq, status, phase]);
      process.stderr.write(`${jobId}: ${JSON.stringify(steps)}\n`);
    }
    invalid += illegal.length;
    const bad = invalid + lost.length + duplicateActivations;
    const cases = kills;
    report({
      cases,
      passed: Math.max(0, cases - bad),
      kills,
      invalid,
      lost: lost.length,
      duplicateActivations,
    });
    expect({ invalid, lost, duplicateActivations }).toEqual({
      invalid: 0,
      lost: [],
      duplicateActivations: 0,
    });
    expect(ends.length).toBeGreaterThan(0);
  });
});
