import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { jobPhases, type JobPhase } from '../../agent/contracts/job.ts';
import { entrySchema, isTerminal } from '../../agent/fleet/jobs/entry.ts';
import { PhaseError } from '../../agent/fleet/jobs/phase-work.ts';
import { observeDurable } from '../../agent/util/durable-steps.ts';
import { until } from '../daemon/support.ts';
import { Site } from '../fleet/support/site.ts';
import { digestOfDisk, StepRecorder, writeDisk, type Disk } from './crash-states.ts';
import { openFaulty, STAND_IN, wrongWithChain, wrongWithCurrent, type Wrapper } from './device.ts';
import { report } from './results.ts';

jest.setTimeout(400_000);

/** For a start and a whole job of a real daemon, on a machine that has other work. */
const DAEMON_MS = 60_000;

interface Cut {
  readonly phase: JobPhase | 'before';
  readonly disk: Disk;
}

let site: Site;
let folder: string;
let installed: string;
let second: Awaited<ReturnType<Site['publish']>>;
let count = 0;

beforeAll(async () => {
  site = await Site.open();
  folder = mkdtempSync(join(tmpdir(), 'edgefit-power-'));
  installed = join(folder, 'installed');
  await site.enrol(installed);
  const model = await site.publish('1.0.0');
  const device = await openFaulty({ state: installed, url: site.url });
  await device.service.port.onJob('j1', JSON.parse(site.job('j1', { jobType: 'deploy', model })));
  expect(await device.ended('j1')).toMatchObject({ outcome: 'applied' });
  await device.service.stop();
  second = await site.publish('2.0.0');
});

afterAll(async () => {
  await site.close();
  rmSync(folder, { recursive: true });
});

const document = () => {
  const text = site.job('j2', { jobType: 'deploy', model: second });
  return JSON.parse(text) as Readonly<Record<string, unknown>>;
};

const newFolder = () => join(folder, `state-${(count += 1)}`);

/** Deploys the second version and keeps every disk that a power cut on the way may leave. */
async function record(job: ReturnType<typeof document>, wrap?: Wrapper): Promise<readonly Cut[]> {
  const state = newFolder();
  cpSync(installed, state, { recursive: true, verbatimSymlinks: true });
  let phase: Cut['phase'] = 'before';
  const device = await openFaulty({
    state,
    url: site.url,
    ...(wrap === undefined ? {} : { wrap }),
  });
  const recorder = new StepRecorder(state);
  const end = observeDurable((step) => {
    if (step.step === 'write' && step.path.includes('/jobs/.j2.json')) {
      const text = Buffer.from(step.bytes).toString();
      const found = jobPhases.find((one) => one === JSON.parse(text).phase);
      phase = found ?? phase;
    }
    recorder.record(step, phase);
  });
  await device.service.port.onJob('j2', job);
  await device.ended('j2');
  await device.service.stop();
  end();
  const cuts = new Map<string, Cut>();
  for (let step = 0; step <= recorder.steps; step += 1) {
    const label = recorder.labelOf(Math.min(step, recorder.steps - 1));
    const at = jobPhases.find((one) => one === label) ?? 'before';
    for (const disk of recorder.after(step)) cuts.set(digestOfDisk(disk), { phase: at, disk });
  }
  return [...cuts.values()];
}

/** What is wrong on the disk that a power cut left, before anything has mended it. */
async function wrongAtOnce(state: string): Promise<string | null> {
  for (const name of readdirSync(join(state, 'jobs'))) {
    if (name.startsWith('.')) continue;
    // oxlint-disable-next-line no-await-in-loop -- one or two files
    const text = await readFile(join(state, 'jobs', name), 'utf8');
    const { success } = entrySchema.safeParse(parse(text));
    if (!success) return `journal ${name} is not whole`;
  }
  return wrongWithCurrent(state);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Starts the jobs on a disk, with the document coming again as from the broker. */
async function comeBack(cut: Cut, job: ReturnType<typeof document>, wrap?: Wrapper) {
  const state = newFolder();
  writeDisk(state, cut.disk);
  const before = await wrongAtOnce(state);
  const device = await openFaulty({
    state,
    url: site.url,
    ...(wrap === undefined ? {} : { wrap }),
  });
  await device.service.port.onJob('j2', job);
  const last = await device.ended('j2');
  await device.service.stop();
  const wrong =
    before ??
    (await wrongWithCurrent(state)) ??
    wrongWithChain(device.records.filter(({ jobId }) => jobId === 'j2'));
  rmSync(state, { recursive: true });
  return wrong === null ? (last.outcome ?? last.status) : `BAD ${cut.phase}: ${wrong}`;
}

async function tryAll(cuts: readonly Cut[], job: ReturnType<typeof document>, wrap?: Wrapper) {
  const outcomes = new Map<string, number>();
  for (const cut of cuts) {
    // oxlint-disable-next-line no-await-in-loop -- one device after the other
    const outcome = await comeBack(cut, job, wrap).catch(
      (error: unknown) => `BAD ${String(error)}`,
    );
    const key = `${cut.phase}: ${outcome}`;
    outcomes.set(key, (outcomes.get(key) ?? 0) + 1);
  }
  const bad = [...outcomes].filter(([key]) => key.includes('BAD'));
  const lines = [...outcomes].map(([key, times]) => `${String(times).padStart(5)}  ${key}`);
  process.stderr.write(`\n${cuts.length} disks after a power cut\n${lines.join('\n')}\n`);
  const invalid = bad.reduce((sum, [, times]) => sum + times, 0);
  report({ cases: cuts.length, passed: cuts.length - invalid, invalid });
  return bad;
}

test('a power cut at any step of a deployment leaves a device that works', async () => {
  const job = document();
  const cuts = await record(job);
  const tried = new Set(cuts.map(({ phase }) => phase));
  expect(jobPhases.filter((phase) => !tried.has(phase))).toEqual(['rolling_back']);
  expect(await tryAll(cuts, job)).toEqual([]);
});

test('and at any step of the way back', async () => {
  const job = document();
  const wrap: Wrapper = (phase, work) =>
    phase === 'probing'
      ? async () => {
          throw new PhaseError('unhealthy', 'as the test wants');
        }
      : work;
  const cuts = await record(job, wrap);
  const back = cuts.filter(({ phase }) => phase === 'rolling_back');
  expect(back.length).toBeGreaterThan(5);
  expect(await tryAll(back, job, wrap)).toEqual([]);
});

test('the real daemon ends the job on such a disk', async () => {
  const cuts = await record(document());
  const known = cuts.filter(({ disk }) => disk.has('jobs/j2.json'));
  const sample = known.filter((_, index) => index % Math.ceil(known.length / 6) === 0);
  expect(sample.length).toBeGreaterThan(3);
  for (const cut of sample) {
    const state = newFolder();
    writeDisk(state, cut.disk);
    const config = join(state, 'agent.yaml');
    writeFileSync(config, `deviceId: pi-7\nmodels:\n  repository: ${site.url}\n`);
    const args = [join(import.meta.dirname, 'daemon.js'), config, STAND_IN];
    const env = { PATH: process.env['PATH'], EDGEFIT_STATE_DIR: state };
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    const closed = once(child, 'close');
    let log = '';
    child.stderr.on('data', (chunk) => {
      log += String(chunk);
    });
    const journal = join(state, 'jobs', 'j2.json');
    // oxlint-disable-next-line no-await-in-loop -- one daemon after the other
    await until(
      `the end of the job (${cut.phase})`,
      async () => {
        if (!existsSync(journal)) return false;
        const parsed = entrySchema.safeParse(parse(await readFile(journal, 'utf8')));
        return parsed.success && isTerminal(parsed.data);
      },
      DAEMON_MS,
    )
      .catch((cause: unknown) => {
        throw new Error(`${String(cause)}\n${log}`, { cause });
      })
      .finally(() => child.kill('SIGKILL'));
    // oxlint-disable-next-line no-await-in-loop -- see above
    await closed;
    // oxlint-disable-next-line no-await-in-loop -- see above
    expect(await wrongWithCurrent(state)).toBeNull();
  }
  report({ cases: sample.length, passed: sample.length });
});
