import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import {
  jobPhases,
  jobRecordSchema,
  type JobPhase,
  type JobRecord,
} from '../../agent/contracts/job.ts';
import { PhaseError } from '../../agent/fleet/jobs/phase-work.ts';
import { observeDurable } from '../../agent/util/durable-steps.ts';
import { Site } from '../fleet/support/site.ts';
import {
  isOver,
  openFaulty,
  STAND_IN,
  wrongWithChain,
  wrongWithCurrent,
  type FaultyOptions,
  type Wrapper,
} from './device.ts';
import { report } from './results.ts';

jest.setTimeout(240_000);

let site: Site;
let folder: string;
/** A device that runs version 1. */
let installed: string;
let second: Awaited<ReturnType<Site['publish']>>;
let count = 0;
const table = new Map<string, Map<JobPhase, string>>();

beforeAll(async () => {
  site = await Site.open();
  folder = await mkdtemp(join(tmpdir(), 'edgefit-faults-'));
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
  await rm(folder, { recursive: true });
  const faults = [...table.keys()];
  const lines = jobPhases.map((phase) => {
    const cells = faults.map((fault) => (table.get(fault)?.get(phase) ?? '-').padEnd(17));
    return `${phase.padEnd(13)} ${cells.join(' ')}`;
  });
  const head = `${''.padEnd(13)} ${faults.map((fault) => fault.padEnd(17)).join(' ')}`;
  process.stderr.write(`\n${head}\n${lines.join('\n')}\n`);
  const cells = [...table.values()].flatMap((cellsOf) => [...cellsOf.values()]);
  const bad = cells.filter((cell) => cell.startsWith('BAD')).length;
  report({ cases: cells.length, passed: cells.length - bad, invalid: bad });
});

interface Trial {
  readonly phase: JobPhase;
  readonly state: string;
  readonly document: Readonly<Record<string, unknown>>;
}

interface Fault extends Partial<Pick<FaultyOptions, 'wrap' | 'systemMs' | 'env'>> {
  readonly end?: () => unknown;
}

async function newTrial(
  phase: JobPhase,
  job: Readonly<Record<string, unknown>> = {},
): Promise<Trial> {
  count += 1;
  const state = join(folder, `state-${count}`);
  await cp(installed, state, { recursive: true, verbatimSymlinks: true });
  const text = site.job('j2', { jobType: 'deploy', model: second, ...job });
  return { phase, state, document: JSON.parse(text) as Trial['document'] };
}

/** Deploys the second version while something goes wrong in one phase; says what became of it. */
async function run(trial: Trial, fault: Fault): Promise<string> {
  const device = await openFaulty({ state: trial.state, url: site.url, ...fault });
  await device.service.port.onJob('j2', trial.document);
  const last = await device.ended('j2').finally(fault.end);
  await device.service.stop();
  return verdict(trial.state, last, device.records);
}

async function verdict(
  state: string,
  last: JobRecord,
  records: readonly JobRecord[],
): Promise<string> {
  const wrong =
    (await wrongWithCurrent(state)) ??
    wrongWithChain(records.filter(({ jobId }) => jobId === 'j2')) ??
    (isOver(last) ? null : 'no end');
  return wrong === null ? (last.outcome ?? last.status) : `BAD ${wrong}`;
}

/** Does something to a phase when it is first run; a way back needs a reason first. */
function at(phase: JobPhase, act: Parameters<typeof around>[1]): Wrapper {
  return around(phase, act);
}

function around(
  target: JobPhase,
  act: (
    work: ReturnType<Wrapper>,
    input: Parameters<ReturnType<Wrapper>>[0],
  ) => ReturnType<ReturnType<Wrapper>>,
): Wrapper {
  let done = false;
  return (phase, work) => async (input) => {
    if (input.document.jobId !== 'j2') return work(input);
    if (phase === 'probing' && target === 'rolling_back') {
      throw new PhaseError('unhealthy', 'as the test wants');
    }
    if (phase !== target || done) return work(input);
    done = true;
    return act(work, input);
  };
}

function column(
  fault: string,
  make: (phase: JobPhase) => Promise<string>,
  phases: readonly JobPhase[] = jobPhases,
  together = false,
): void {
  test(`${fault} in every phase`, async () => {
    const cells = new Map<JobPhase, string>();
    table.set(fault, cells);
    const one = async (phase: JobPhase) => {
      cells.set(phase, await make(phase).catch((error: unknown) => `BAD ${String(error)}`));
    };
    if (together) await Promise.all(phases.map(one));
    // oxlint-disable-next-line no-await-in-loop -- one device after the other
    else for (const phase of phases) await one(phase);
    expect([...cells].filter(([, cell]) => cell.startsWith('BAD'))).toEqual([]);
  });
}

column('exception', async (phase) => {
  const wrap = at(phase, async (work, input) => {
    await work(input);
    throw new TypeError('a mistake in the program');
  });
  return run(await newTrial(phase), { wrap });
});

column('SIGKILL daemon', async (phase) => {
  const trial = await newTrial(phase);
  const args = [trial.state, site.url, phase, String(Math.round(Math.random() * 40)), STAND_IN];
  const child = spawn(process.execPath, [join(import.meta.dirname, 'device-process.js'), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.on('data', (piece) => (out += String(piece)));
  child.stdin.end(JSON.stringify(trial.document));
  await once(child, 'close');
  expect(child.signalCode).toBe('SIGKILL');
  const before = out
    .trim()
    .split('\n')
    .map((line) => jobRecordSchema.parse(JSON.parse(line)));
  const device = await openFaulty({
    state: trial.state,
    url: site.url,
    wrap: at(phase, (work, input) => work(input)),
  });
  const last = await device.ended('j2');
  await device.service.stop();
  return verdict(trial.state, last, [...before, ...device.records]);
});

column(
  'SIGKILL child',
  async (phase) => {
    const env: Record<string, string | undefined> = { ...process.env };
    const wrap = at(phase, (work, input) => {
      env['STAND_IN_FAULT'] = phase === 'fitting' ? 'fit' : 'bench';
      return work(input).finally(() => {
        delete env['STAND_IN_FAULT'];
      });
    });
    return run(await newTrial(phase), { wrap, env });
  },
  // In the others there is none.
  ['fitting', 'probing', 'rolling_back'],
);

/** Until it is full, to the last page. */
async function fill(path: string): Promise<void> {
  const file = await open(path, 'w');
  for (const size of [65_536, 4096, 1]) {
    for (let full = false; !full;) {
      // oxlint-disable-next-line no-await-in-loop -- until it is full
      full = await file.write(Buffer.alloc(size)).then(
        () => false,
        () => true,
      );
    }
  }
  await file.close();
}

function mayMount(): boolean {
  try {
    execFileSync('unshare', ['--mount', 'true'], { stdio: 'ignore' });
    return process.getuid?.() === 0;
  } catch {
    // Not root, or in a container without the right to mount.
    return false;
  }
}

if (mayMount()) {
  column('disk full', async (phase) => {
    const trial = await newTrial(phase);
    const disk = `${trial.state}-disk`;
    execFileSync('mkdir', [disk]);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=20m', 'tmpfs', disk]);
    try {
      await cp(trial.state, disk, { recursive: true, verbatimSymlinks: true });
      const filler = join(disk, 'filler');
      const wrap = at(phase, async (work, input) => {
        await fill(filler);
        setTimeout(() => void rm(filler), 400);
        return work(input);
      });
      return await run({ ...trial, state: disk }, { wrap });
    } finally {
      execFileSync('umount', ['-l', disk]);
    }
  });
} else {
  process.stderr.write('no column for a full disk: it needs root and the right to mount a tmpfs\n');
}

column('I/O error', async (phase) => {
  let end: () => void = () => undefined;
  const wrap = at(phase, (work, input) => {
    end = observeDurable(() => {
      end();
      throw Object.assign(new Error('i/o error'), { code: 'EIO' });
    });
    return work(input);
  });
  return run(await newTrial(phase), { wrap, end: () => end() });
});

column(
  'hang',
  async (phase) => {
    const limits = { phaseSeconds: { [phase]: 0.2 } };
    const wrap = at(phase, () => new Promise(() => undefined));
    return run(await newTrial(phase, { limits }), { wrap });
  },
  jobPhases,
  true,
);

column('HTTP cut', async (phase) => {
  const wrap = at(phase, (work, input) => {
    const end = Date.now() + 300;
    site.server.intercept = ({ response }) => {
      if (Date.now() > end) return false;
      response.destroy();
      return true;
    };
    return work(input);
  });
  return run(await newTrial(phase), { wrap, end: () => (site.server.intercept = () => false) });
});

const DAY_MS = 86_400_000;

test.each([
  ['clock ahead', 3650],
  ['clock back', -20_000],
])('%s in every phase', async (fault, days) => {
  const cells = new Map<JobPhase, string>();
  table.set(fault, cells);
  for (const phase of jobPhases) {
    let jumpMs = 0;
    const wrap = at(phase, (work, input) => {
      jumpMs = days * DAY_MS;
      return work(input);
    });
    // oxlint-disable-next-line no-await-in-loop -- one device after the other
    cells.set(
      phase,
      await run(await newTrial(phase), { wrap, systemMs: () => Date.now() + jumpMs }),
    );
  }
  expect([...cells].filter(([, cell]) => cell.startsWith('BAD'))).toEqual([]);
});
