import { afterAll, expect, test } from '@jest/globals';
import { benchSchema, type BenchReport } from '../../agent/contracts/bench.ts';
import { corpusPath, describeWithCorpus } from '../support/corpus.ts';
import { agent, removeFolders } from './support/agent.ts';
import { DONE } from './support/expect.ts';
import { QUICK } from './support/files.ts';

/** Real models with real samples; what they give as float was measured by other programs. */

afterAll(removeFolders);
const LIMIT_MS = 90_000;

async function bench(name: string, ...args: readonly string[]): Promise<BenchReport> {
  const ran = await agent(
    ['bench', corpusPath('packages', `${name}.json`), ...QUICK, ...args, '--json'],
    { deadlineMs: LIMIT_MS },
  );
  expect(ran).toMatchObject(DONE);
  return benchSchema.parse(JSON.parse(ran.out));
}

function rowOf({ candidates }: BenchReport, method: string) {
  const row = candidates.find((one) => one.method === method);
  if (row === undefined) throw new Error(`no candidate by ${method}`);
  return row;
}

describeWithCorpus('packages', () => {
  test(
    'keyword spotting: 900 samples, top-1 as published, INT8 no worse than a point',
    async () => {
      const report = await bench('mlptiny-ks-raw', '--precision', 'int8-static');
      expect(report.samples).toMatchObject({ calibration: 100, evaluation: 900, labelled: true });
      expect(rowOf(report, 'none').accuracy).toEqual({
        metric: 'top1',
        value: expect.closeTo(0.9233, 4),
        drop: 0,
        samples: 900,
      });
      const int8 = rowOf(report, 'static');
      expect(int8.integerCoverage).toBeGreaterThan(0.95);
      expect(int8.accuracy?.drop).toBeLessThan(0.01);
      expect(int8.fidelity?.sqnrDb).toBeGreaterThan(25);
    },
    LIMIT_MS,
  );

  test(
    'a folder of JPEGs: top-1 as published',
    async () => {
      const report = await bench('mobilenet-v1-025-224', '--as-is');
      expect(report.samples).toMatchObject({ evaluation: 900, labelled: true });
      // Decoders differ by a level: one sample in 900 may move.
      expect(rowOf(report, 'none').accuracy?.value).toBeCloseTo(0.5756, 2);
    },
    LIMIT_MS,
  );

  test(
    'whole numbers as input',
    async () => {
      const report = await bench('magika-v3-3', '--precision', 'int8-static');
      expect(rowOf(report, 'none').accuracy).toMatchObject({ value: 1, samples: 52 });
      const int8 = rowOf(report, 'static');
      expect(int8.accuracy?.value).toBe(1);
      expect(int8.integerCoverage).toBeGreaterThan(0.95);
      expect(report.warnings).toContainEqual(expect.stringContaining('52 labelled samples'));
    },
    LIMIT_MS,
  );

  test(
    'control flow and a constant input: branches run on integers, too',
    async () => {
      const report = await bench('silero-vad');
      expect(rowOf(report, 'dynamic').fidelity?.sqnrDb).toBeGreaterThan(30);
      expect(rowOf(report, 'dynamic').integerCoverage).toBeGreaterThan(0);
      expect(rowOf(report, 'static').fidelity?.sqnrDb).toBeGreaterThan(15);
      expect(rowOf(report, 'static').integerCoverage).toBe(1);
    },
    LIMIT_MS,
  );

  test(
    'recurrent, with two inputs',
    async () => {
      const report = await bench('dtln-1', '--precision', 'int8-dynamic');
      const int8 = rowOf(report, 'dynamic');
      expect(int8.integerCoverage).toBe(1);
      expect(int8.fidelity?.sqnrDb).toBeGreaterThan(40);
      expect(int8.bytes ?? 0).toBeLessThan(0.33 * (rowOf(report, 'none').bytes ?? 0));
    },
    LIMIT_MS,
  );
});
