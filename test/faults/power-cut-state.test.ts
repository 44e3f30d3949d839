import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { rotateKeys } from '../../agent/deploy/tuf/repository.ts';
import { NotTrusted } from '../../agent/deploy/tuf/refused.ts';
import { lastSignedMs } from '../../agent/deploy/tuf/refresh.ts';
import { sessionNumbers } from '../../agent/fleet/device/session-number.ts';
import { openTwin } from '../../agent/fleet/device/twin.ts';
import { AGENT_MAIN, prepareStart, readAgents } from '../../agent/util/agents.ts';
import { tar } from '../daemon/agent-archives.ts';
import { until } from '../daemon/support.ts';
import { Fixture, NOW_MS } from '../deploy/support/fixture.ts';
import { newKey } from '../deploy/support/keys.ts';
import { afterThisTest } from '../fleet/support/harness.ts';
import { Site } from '../fleet/support/site.ts';
import { digestOfDisk, disksAfterCuts, writeDisk, type CutDisk } from './crash-states.ts';
import { isOver, openFaulty } from './device.ts';
import { report } from './results.ts';

jest.setTimeout(400_000);

let folder: string;
let count = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgefit-power-state-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function newState(): string {
  const state = join(folder, `state-${(count += 1)}`);
  mkdirSync(state);
  return state;
}

/** Tries every disk; what is wrong with one is its error. */
async function tryAll(
  what: string,
  cuts: readonly CutDisk[],
  comeBack: (state: string, label: string) => Promise<void>,
): Promise<void> {
  const wrong: string[] = [];
  for (const { disk, label } of cuts) {
    const state = newState();
    writeDisk(state, disk);
    // oxlint-disable-next-line no-await-in-loop -- one device after the other
    await comeBack(state, label).catch((error: unknown) => {
      wrong.push(`${[...disk.keys()].join(' ')}: ${String(error)}`);
    });
    rmSync(state, { recursive: true, force: true });
  }
  process.stderr.write(`\n${what}: ${cuts.length} disks after a power cut\n`);
  report({ cases: cuts.length, passed: cuts.length - wrong.length, invalid: wrong.length });
  expect(wrong).toEqual([]);
}

test('the twin is an old one or the new one, and counts on', async () => {
  const desired = (counter: number) => ({
    type: 'twin',
    deviceId: 'pi-7',
    counter,
    expires: '2027-01-01T00:00:00Z',
    settings: { tags: [`t${counter}`] },
  });
  const open = (state: string) =>
    openTwin({
      state,
      deviceId: 'pi-7',
      verify: async (signed) => ({ signed }),
      warn: (why) => {
        throw new Error(why);
      },
      nowMs: () => 0,
    });
  const state = newState();
  const twin = await open(state);
  await twin.accept(desired(1));
  let rev = 0;
  const told = () => String((rev = JSON.parse(twin.message(new Date(0)).payload).rev));
  const work = async () => {
    await twin.accept(desired(2));
    await twin.setSettings({ logLevel: 'debug' });
    await twin.setActiveModel(null);
  };
  const cuts = await disksAfterCuts(state, work, told);
  // The last change is told once it is on the disk.
  expect(rev).toBe(3);
  expect(cuts.length).toBeGreaterThan(6);
  await tryAll('twin.json', cuts, async (after, label) => {
    const again = await open(after);
    const { tags } = again.settings();
    expect([['t1'], ['t2']]).toContainEqual(tags);
    // Readers drop a revision that is below one that they know.
    const found = JSON.parse(again.message(new Date(0)).payload).rev;
    expect(found).toBeGreaterThanOrEqual(Number(label));
    const older = await again.accept(desired(1));
    expect('refused' in older).toBe(tags?.[0] === 't2');
    expect(await again.accept(desired(2))).not.toHaveProperty('refused');
    expect(again.settings().tags).toEqual(['t2']);
  });
});

test('no number of a session comes twice', async () => {
  const state = newState();
  const warn = (why: string) => {
    throw new Error(why);
  };
  const numbers = sessionNumbers(state, warn);
  let told = 0;
  const work = async () => {
    for (let time = 0; time < 3; time += 1) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      told = await numbers.next();
    }
  };
  const cuts = await disksAfterCuts(state, work, () => String(told));
  await tryAll('session.json', cuts, async (after, label) => {
    expect(await sessionNumbers(after, warn).next()).toBeGreaterThan(Number(label));
  });
});

test('trusted metadata is brought up to date from any disk, and never goes back', async () => {
  const fixture = new Fixture();
  await fixture.start();
  afterThisTest(() => fixture.stop());
  await fixture.refresh();
  const [old, current] = [newState(), newState()];
  cpSync(fixture.repository, old, { recursive: true });
  const online = newKey();
  await fixture.publish('2.0.0', 'second');
  await rotateKeys(
    { ...fixture.options(), keys: [...fixture.keys, online] },
    { ...fixture.roles, snapshot: { keys: [online.public], threshold: 1 } },
  );
  const cuts = await disksAfterCuts(fixture.device, async () => {
    await fixture.refresh();
  });
  expect(cuts.length).toBeGreaterThan(10);
  const { device, repository } = fixture;
  cpSync(repository, current, { recursive: true });
  const offer = (copy: string) => {
    rmSync(repository, { recursive: true });
    cpSync(copy, repository, { recursive: true });
  };
  const version = (state: string, role: string): number =>
    JSON.parse(readFileSync(join(state, `${role}.json`), 'utf8')).signed.version;
  const newest = version(device, 'timestamp');
  await tryAll('trusted metadata', cuts, async (after) => {
    fixture.device = after;
    expect(await lastSignedMs(after)).toBeLessThanOrEqual(NOW_MS);
    const known = version(after, 'timestamp');
    // The old repository again: a device that has seen the new timestamp is not led back.
    offer(old);
    const led = await fixture.refresh().catch((error: unknown) => error);
    expect(known !== newest || led instanceof NotTrusted).toBe(true);
    expect(version(after, 'timestamp')).toBe(known);
    offer(current);
    const trusted = await fixture.refresh();
    expect(trusted.target('models/kws/2.0.0/manifest.json').bytes).toBeGreaterThan(0);
    expect(version(after, 'timestamp')).toBe(newest);
  });
});

const INSTALLED = { folder: '/usr/lib/edgefit', version: '0.1.0' };
const NEW = '9.0.0';

/** Starts the agent that the launcher chooses, again and again, until the update has ended. */
async function update(state: string, url: string, document: Readonly<Record<string, unknown>>) {
  const agents = join(state, 'agents');
  for (let starts = 1; starts <= 6; starts += 1) {
    /* oxlint-disable no-await-in-loop -- one start after the other */
    const home = await prepareStart(agents, INSTALLED);
    const isNew = home !== INSTALLED.folder;
    const main = isNew ? readFileSync(join(home, AGENT_MAIN), 'utf8') : PROGRAM;
    expect(main).toBe(PROGRAM);
    let ends = false;
    const device = await openFaulty({
      state,
      url,
      selfUpdate: {
        folder: agents,
        running: isNew ? basename(home) : null,
        version: isNew ? NEW : INSTALLED.version,
        platform: 'linux-x64',
        online: () => true,
        restart: () => {
          ends = true;
        },
      },
    });
    await device.service.port.onJob('u1', document);
    const isDone = () => device.records.some((record) => record.jobId === 'u1' && isOver(record));
    await until('an end', () => ends || isDone(), 60_000);
    await device.service.stop();
    if (isDone()) return { isNew, starts, last: device.records.findLast(isOver) };
    /* oxlint-enable no-await-in-loop */
  }
  throw new Error('the update never ended');
}

const PROGRAM = `console.log('${NEW}')`;

test('the launcher starts a whole agent on any disk, and the update ends', async () => {
  const site = await Site.open();
  afterThisTest(() => site.close());
  const home = join(folder, 'home');
  mkdirSync(join(home, dirname(AGENT_MAIN)), { recursive: true });
  writeFileSync(join(home, AGENT_MAIN), PROGRAM);
  const about = { schema: 'edgefit/agent-package/1', version: NEW, platform: 'linux-x64' };
  writeFileSync(join(home, 'agent-package.json'), JSON.stringify(about));
  tar(home, join(folder, 'agent.tar.gz'));
  const agent = await site.publishAgent(join(folder, 'agent.tar.gz'));
  const document = JSON.parse(site.job('u1', { jobType: 'selfupdate', agent }));
  const state = newState();
  await site.enrol(state);
  const cuts = await disksAfterCuts(state, async () => {
    expect(await update(state, site.url, document)).toMatchObject({ isNew: true, starts: 2 });
  });
  // The journal is tried elsewhere: here each folder of agents once.
  const ofAgents = ({ disk }: CutDisk) =>
    digestOfDisk(new Map([...disk].filter(([name]) => name.startsWith('agents/'))));
  const different = [...new Map(cuts.map((cut) => [ofAgents(cut), cut])).values()];
  expect(different.length).toBeGreaterThan(15);
  await tryAll('agents', different, async (after) => {
    const { isNew, last } = await update(after, site.url, document);
    expect({ isNew, outcome: last?.outcome }).toEqual({ isNew: true, outcome: 'applied' });
    expect(await readAgents(join(after, 'agents'))).toMatchObject({ trial: null });
  });
});
