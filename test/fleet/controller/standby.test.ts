import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { makeKeyFile, openKey } from '../../../agent/deploy/key-file.ts';
import { builtModule } from '../../../agent/util/paths.ts';
import { temporaryFolder, until } from '../../daemon/support.ts';
import { describeIf } from '../../support/available.ts';
import { startPostgres } from '../../support/postgres.ts';
import { afterThisTest, mosquitto } from '../support/harness.ts';
import { Site } from '../support/site.ts';
import { FakeFleet, Operator, type FakeJob } from './support.ts';

const PASSPHRASE = 'correct horse';
const TAKE_OVER_MS = 30_000;
const DEVICES = 120;
const ids = Array.from({ length: DEVICES }, (_, at) => `device-${at}`);
const SPEC = {
  model: { name: 'kws', version: '1.0.0' },
  soakSeconds: 0,
  canaryPerClass: 0,
  waves: [50, 100],
};

interface World {
  readonly site: Site;
  readonly port: number;
  readonly postgres: string;
  readonly keyFile: string;
  readonly fleet: FakeFleet;
  readonly operator: Operator;
}

async function openWorld(): Promise<World> {
  const site = await Site.open();
  afterThisTest(() => site.close());
  await site.publish('1.0.0');
  const file = await makeKeyFile(PASSPHRASE);
  const keyFile = join(temporaryFolder(), 'controller.key');
  writeFileSync(keyFile, JSON.stringify(file), { mode: 0o600 });
  const key = await openKey(file, PASSPHRASE, keyFile);
  await site.trust(key.public);
  const database = await startPostgres();
  afterThisTest(database.stop);
  const { port } = await mosquitto('allow_anonymous true');
  const fleet = await FakeFleet.open(port, key);
  await fleet.add(ids);
  const operator = await Operator.open(port, site.operator);
  return { site, port, postgres: database.url, keyFile, fleet, operator };
}

interface Running {
  readonly id: string;
  readonly child: ChildProcess;
  readonly log: () => string;
}

function startProcess(id: string, { site, port, postgres, keyFile }: World): Running {
  const root = join(site.folder, 'repository', 'metadata', '1.root.json');
  const flags = ['--mqtt', `mqtt://127.0.0.1:${port}`, '--repository', site.url, '--root', root];
  const own = ['--key', keyFile, '--state', temporaryFolder(), '--id', id];
  const child = spawn(
    process.execPath,
    [builtModule('cli/main'), 'fleet', 'controller', ...flags, ...own],
    {
      env: {
        PATH: process.env['PATH'],
        EDGEFIT_PASSPHRASE: PASSPHRASE,
        EDGEFIT_POSTGRES_URL: postgres,
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  let text = '';
  child.stderr?.on('data', (chunk) => (text += String(chunk)));
  const ended = once(child, 'close');
  afterThisTest(async () => {
    child.kill('SIGCONT');
    child.kill('SIGKILL');
    await ended;
  });
  return { id, child, log: () => text };
}

const leads = (log: string) => log.includes('"msg":"leads"');

async function startPair(world: World): Promise<{ leader: Running; other: Running }> {
  const pair = [startProcess('ctl-a', world), startProcess('ctl-b', world)];
  const leader = await until('one leads', () => pair.find(({ log }) => leads(log())), 30_000);
  const other = pair.find((one) => one !== leader);
  if (other === undefined) throw new Error('there is no other');
  await until('the other has read the fleet', () => other.log().includes('the fleet is read'));
  expect(leads(other.log())).toBe(false);
  return { leader, other };
}

/**
 * The first wave is under way: one of its devices does not come to an end before it is told to, so
 * that the second half waits. Resolves when some of the jobs are out: others may be on their way.
 */
async function untilMidWave({ fleet, operator }: World): Promise<{ goOn: () => Promise<void> }> {
  let held: FakeJob | null = null;
  fleet.behaviour = (job) => {
    if (held !== null) return 'succeeds';
    held = job;
    return 'works';
  };
  const answer = await operator.ask('r1', 'create', { spec: SPEC, approve: true });
  expect(answer).toMatchObject({ ok: true });
  await until('some jobs are out', () => fleet.jobs.length >= 10);
  return {
    goOn: async () => {
      if (held !== null) await fleet.end(held, 'succeeds');
    },
  };
}

/** As the broker counts: every device one document, whoever published it. */
function expectOneJobEach({ fleet }: World): void {
  expect([...fleet.documents.values()].map(({ length }) => length)).toEqual(ids.map(() => 1));
  expect(fleet.jobs.map(({ deviceId }) => deviceId).toSorted()).toEqual(ids.toSorted());
}

describeIf('postgres', 'mosquitto')('two controllers', () => {
  test('SIGKILL of the leader in mid-wave: the other goes on, no job is issued twice', async () => {
    const world = await openWorld();
    const { leader, other } = await startPair(world);
    const { goOn } = await untilMidWave(world);
    const killedMs = performance.now();
    leader.child.kill('SIGKILL');
    await until('the other leads', () => leads(other.log()), TAKE_OVER_MS);
    expect(performance.now() - killedMs).toBeLessThan(TAKE_OVER_MS);
    await goOn();
    const done = await world.operator.reaches('r1', 'completed');
    expect(done.counts).toMatchObject({ targets: DEVICES, succeeded: DEVICES });
    expectOneJobEach(world);
    const epochs = world.fleet.jobs.map(({ epoch }) => epoch);
    expect(epochs[0]).toBe(1);
    expect(epochs.slice(DEVICES / 2)).toEqual(ids.slice(DEVICES / 2).map(() => 2));
  }, 120_000);

  test('SIGSTOP of the leader, which wakes up again: it is fenced', async () => {
    const world = await openWorld();
    const { leader, other } = await startPair(world);
    const { goOn } = await untilMidWave(world);
    const stoppedMs = performance.now();
    leader.child.kill('SIGSTOP');
    await until('the other leads', () => leads(other.log()), TAKE_OVER_MS);
    expect(performance.now() - stoppedMs).toBeLessThan(TAKE_OVER_MS);
    leader.child.kill('SIGCONT');
    const isOver = () => leader.log().includes('does not lead any more');
    await until('it knows that its time is over', isOver);
    await goOn();
    await world.operator.reaches('r1', 'completed');
    // Time for whatever it might still have to say.
    await sleep(1000);
    expectOneJobEach(world);
    const late = world.fleet.jobs.slice(DEVICES / 2).map(({ epoch }) => epoch);
    expect(late).toEqual(ids.slice(DEVICES / 2).map(() => 2));
    expect(leader.child.exitCode).toBeNull();
  }, 120_000);
});
