import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, test } from '@jest/globals';
import { Slots } from '../../../agent/deploy/slots/slots.ts';
import { measureDeployed } from '../../../agent/fleet/jobs/periodic.ts';
import type { Conditions, Measured, WorkContext } from '../../../agent/fleet/jobs/work/context.ts';
import { benchReport } from '../support/documents.ts';
import { bench, deployJob } from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'edgefit-periodic-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const QUIET: Conditions = { celsius: 40, throttled: [], lockedBy: null };
const FAST = { accuracy: false, waitMs: 0, limitMs: 5000 };

/** Two deployed models, and a child whose runs are noted. */
async function device(name: string, conditions: () => Conditions = () => QUIET) {
  const state = join(folder, name);
  const models = join(state, 'models');
  for (const model of ['kws', 'vad']) {
    const source = join(state, `source-${model}`);
    mkdirSync(source, { recursive: true });
    writeFileSync(join(source, 'model.onnx'), model);
    const slots = new Slots(models, model);
    // oxlint-disable-next-line no-await-in-loop -- two
    const { digest } = await slots.stage(source, {
      model,
      version: '1.0.0',
      releaseCounter: 1,
      file: 'model.onnx',
      precision: 'fp32',
      runtime: 'onnxruntime',
    });
    // oxlint-disable-next-line no-await-in-loop -- two
    await slots.activate(digest);
  }
  const runs: (readonly string[])[] = [];
  const measured: Measured[] = [];
  const warnings: object[] = [];
  const context = {
    folders: { models, evaluation: join(state, 'evaluation'), scratch: state },
    conditions: async () => conditions(),
    onBench: async (one: Measured) => void measured.push(one),
    runAgent: async (args: readonly string[]) => {
      runs.push(args);
      return { code: 0, signal: null, stdout: JSON.stringify(benchReport()), complaint: '' };
    },
    pollMs: 5,
    // Nothing else of it is used here.
  } as unknown as WorkContext;
  const log = { warn: (fields: object) => void warnings.push(fields) };
  return { state, context, runs, measured, warnings, log };
}

describe('a periodic benchmark', () => {
  test('measures every deployed model as it is, by its runtime', async () => {
    const { state, context, runs, measured, warnings, log } = await device('all');
    const { runner } = await bench(join(state, 'jobs'), {});
    await measureDeployed(FAST, { context, runner, log });
    expect(measured.map(({ release: { model } }) => model)).toEqual(['kws', 'vad']);
    expect(runs[0]).toEqual(
      expect.arrayContaining(['bench', '--as-is', '--runtime', 'onnxruntime']),
    );
    expect(warnings).toEqual([]);
  });

  test.each([
    ['a lock', { ...QUIET, lockedBy: 'line 3' }, 'locked by line 3'],
    ['heat', { ...QUIET, celsius: 91 }, '91 °C, above 80'],
    ['weak power', { ...QUIET, throttled: ['under-voltage'] }, 'under-voltage'],
  ])('is put off by %s, and left out in the end', async (name, conditions, why) => {
    const { state, context, runs, warnings, log } = await device(name, () => conditions);
    const { runner } = await bench(join(state, 'jobs'), {});
    await measureDeployed({ ...FAST, waitMs: 30 }, { context, runner, log });
    expect(runs).toEqual([]);
    expect(warnings).toEqual([
      { model: 'kws', why },
      { model: 'vad', why },
    ]);
  });

  test('goes on as soon as nothing is in its way', async () => {
    let asked = 0;
    const busy = { ...QUIET, lockedBy: 'x' };
    const { state, context, measured, log } = await device('later', () =>
      (asked += 1) < 4 ? busy : QUIET,
    );
    const { runner } = await bench(join(state, 'jobs'), {});
    await measureDeployed({ ...FAST, waitMs: 10_000 }, { context, runner, log });
    expect(measured).toHaveLength(2);
  });

  test('never runs beside a job: it waits for one, and one waits for it', async () => {
    const steps: string[] = [];
    const { state, context, log } = await device('lane');
    const { runner } = await bench(join(state, 'jobs'), {
      fitting: async () => {
        steps.push('job begins');
        await sleep(60);
        steps.push('job ends');
        return {};
      },
    });
    const slow: WorkContext = {
      ...context,
      runAgent: async (args, signal) => {
        steps.push('bench begins');
        await sleep(40);
        steps.push('bench ends');
        return context.runAgent(args, signal);
      },
    };
    await runner.submit(deployJob('j1'), 'a'.repeat(64));
    await sleep(20);
    const measuring = measureDeployed(FAST, { context: slow, runner, log });
    await sleep(10);
    await runner.submit(deployJob('j2', { counter: 2 }), 'b'.repeat(64));
    await measuring;
    await runner.idle();
    // Each ends before another begins.
    const pairs = steps.filter((_step, at) => at % 2 === 0).map((step) => step.split(' ')[0]);
    expect(steps).toEqual(pairs.flatMap((who) => [`${who} begins`, `${who} ends`]));
    expect(pairs.toSorted((a = '', b = '') => a.localeCompare(b))).toEqual([
      'bench',
      'bench',
      'job',
      'job',
    ]);
  });

  test('ends with its budget, and with the daemon', async () => {
    const { state, context, warnings, log } = await device('budget');
    const { runner } = await bench(join(state, 'jobs'), {});
    const hanging: WorkContext = {
      ...context,
      runAgent: (_args, signal) =>
        new Promise((_resolve, reject) => {
          const give = () => reject(signal.reason);
          if (signal.aborted) give();
          else signal.addEventListener('abort', give, { once: true });
        }),
    };
    await measureDeployed({ ...FAST, limitMs: 20 }, { context: hanging, runner, log });
    expect(warnings).toHaveLength(2);
    const measuring = measureDeployed(FAST, { context: hanging, runner, log });
    await sleep(20);
    await runner.stop();
    await measuring;
    expect(warnings).toHaveLength(4);
  });
});
