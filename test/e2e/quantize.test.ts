import { existsSync, readFileSync, statSync } from 'node:fs';
import { afterAll, expect, test } from '@jest/globals';
import { quantizeSchema } from '../../agent/contracts/quantize.ts';
import { onnxRuntime } from '../../agent/runtime/onnxruntime.ts';
import { zeroFeeds } from '../support/feeds.ts';
import { agent, removeFolders } from './support/agent.ts';
import { DONE, refusal, tooWide } from './support/expect.ts';
import { DEMO, DEMO_MODEL, demoBytes, productModel, testFiles } from './support/files.ts';

afterAll(removeFolders);
const files = testFiles();
const LIMIT_MS = 60_000;

test.each([
  ['int8-static', { coverage: 0.95, size: 0.33 }],
  // Only its last layer is a Gemm; convolutions stay float.
  ['int8-dynamic', { coverage: 0, size: 0.98 }],
  ['fp16', { coverage: 0, size: 0.55 }],
])(
  'the demo to %s: an account, and a model that runs',
  async (scheme, { coverage, size }) => {
    const output = files.path(`${scheme}.onnx`);
    const ran = await agent(['quantize', DEMO, '--to', scheme, '-o', output, '--json']);
    expect(ran).toMatchObject(DONE);
    const report = quantizeSchema.parse(JSON.parse(ran.out));
    expect(report).toMatchObject({ output, scheme, bytes: statSync(output).size });
    expect(report.integerCoverage).toBeGreaterThanOrEqual(coverage);
    expect(report.bytes / report.floatBytes).toBeLessThanOrEqual(size);
    expect(report.floatBytes).toBe(demoBytes().length);
    const session = await onnxRuntime.open(output, {
      threads: 1,
      optimization: 'all',
      arena: true,
    });
    const { logits } = await session.run(await zeroFeeds(onnxRuntime, output));
    await session.close();
    expect(Array.from(logits?.data ?? [], Number).every(Number.isFinite)).toBe(true);
  },
  LIMIT_MS,
);

test(
  'for people: what was written, in 80 columns; missing folders are made',
  async () => {
    const output = files.path('new/folder/half.onnx');
    const ran = await agent(['quantize', DEMO_MODEL, '--to', 'fp16', '-o', output]);
    expect(ran).toMatchObject(DONE);
    expect(ran.out).toMatch(/^Wrote {5}/);
    expect(tooWide(ran, output)).toEqual([]);
    expect(existsSync(output)).toBe(true);
  },
  LIMIT_MS,
);

test(
  'the model itself, or its manifest, is never overwritten',
  async () => {
    const model = files.put('own/model.onnx', productModel());
    const manifest = files.put(
      'own/package.json',
      JSON.stringify({
        schema: 'edgefit/model/1',
        name: 'own',
        version: '1.0.0',
        licence: 'MIT',
        model: 'model.onnx',
        inputs: {},
      }),
    );
    const says = 'is needed for something else: give another name';
    for (const [input, output] of [
      [model, model],
      [manifest, model],
      [manifest, manifest],
    ] as const) {
      const before = readFileSync(output);
      // oxlint-disable-next-line no-await-in-loop -- one file after the other
      const ran = await agent(['quantize', input, '--to', 'fp16', '-o', output]);
      expect(ran).toMatchObject(refusal(2, says));
      expect(readFileSync(output)).toEqual(before);
    }
    const ran = await agent(['bench', model, '-o', model]);
    expect(ran).toMatchObject(refusal(2, 'is the model itself'));
  },
  LIMIT_MS,
);
