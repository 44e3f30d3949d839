import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from '@jest/globals';
import { benchSchema } from '../../agent/contracts/bench.ts';
import { agent, makeFolder, removeFolders, startAgent } from './support/agent.ts';
import { DONE, tooWide } from './support/expect.ts';
import { DEMO_MODEL, QUICK } from './support/files.ts';

afterAll(removeFolders);
const LIMIT_MS = 90_000;

test(
  'the demo: a table of 80 columns that ends in a choice',
  async () => {
    const ran = await agent(['bench', '--min-time', '0.1']);
    expect(ran).toMatchObject(DONE);
    expect(tooWide(ran)).toEqual([]);
    for (const part of ['Machine ', 'Samples      256 for calibration, 800', 'int8-static']) {
      expect(ran.out).toContain(part);
    }
    expect(ran.out).toMatch(/^Chosen: #\d onnxruntime\/(int8-static|fp32)\/t\d$/m);
    expect(ran.out).toContain('Not chosen:');
  },
  LIMIT_MS,
);

test(
  '--json prints the report and nothing else, and -o saves the same one',
  async () => {
    const file = `${makeFolder()}/new/report.json`;
    const ran = await agent([
      'bench',
      ...QUICK,
      '--precision',
      'int8-static',
      '--json',
      '-o',
      file,
    ]);
    expect(ran).toMatchObject(DONE);
    const report = benchSchema.parse(JSON.parse(ran.out));
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(JSON.parse(ran.out));
    const [float, int8] = report.candidates;
    expect(report.candidates).toHaveLength(2);
    expect(float?.accuracy).toMatchObject({ metric: 'top1', value: 0.975, samples: 800 });
    expect(int8?.integerCoverage).toBeGreaterThanOrEqual(0.95);
    expect(int8?.accuracy?.drop).toBeLessThan(0.01);
    expect(int8?.fidelity?.sqnrDb).toBeGreaterThan(25);
  },
  LIMIT_MS,
);

test(
  '--runtime tflite without a model is the same demo as a TFLite file',
  async () => {
    const ran = await agent(['bench', ...QUICK, '--runtime', 'tflite', '--as-is', '--json'], {
      deadlineMs: LIMIT_MS,
    });
    expect(ran).toMatchObject(DONE);
    const report = benchSchema.parse(JSON.parse(ran.out));
    expect(report.model).toMatchObject({ name: 'demo-shapes', format: 'tflite' });
    expect(report).toMatchObject({ chosen: 'tflite/fp32/t1', candidates: [{ verdict: 'chosen' }] });
    // That of the ONNX file above: one network, the same labelled samples.
    const accuracy = { metric: 'top1', value: 0.975, samples: 800 };
    expect(report.candidates[0]?.accuracy).toMatchObject(accuracy);
  },
  LIMIT_MS + 10_000,
);

test(
  'a limit that the choice misses gives exit code 3 and a line, after the table',
  async () => {
    const ran = await agent(['bench', DEMO_MODEL, '--as-is', ...QUICK, '--max-p90-ms', '0.000001']);
    expect(ran.code).toBe(3);
    expect(ran.said).toEqual([
      expect.stringMatching(/^agent: --max-p90-ms is not met: onnxruntime/),
    ]);
    expect(ran.out).toContain('Chosen: #1');
  },
  LIMIT_MS,
);

test(
  'progress that is no terminal gets a line per phase',
  async () => {
    const ran = await agent(['bench', ...QUICK, '--precision', 'int8-static']);
    const lines = ran.err.trimEnd().split('\n');
    expect(new Set(lines).size).toBe(lines.length);
    expect(lines.length).toBeLessThanOrEqual(10);
    expect(ran.err).not.toContain('\r');
  },
  LIMIT_MS,
);

test(
  'a reader that goes away early is no error',
  async () => {
    const running = startAgent(['bench', DEMO_MODEL, '--as-is', ...QUICK]);
    running.child.stdout?.destroy();
    expect(await running.ended).toMatchObject(DONE);
  },
  LIMIT_MS,
);
