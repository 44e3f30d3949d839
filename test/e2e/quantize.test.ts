import { existsSync, readFileSync, statSync } from 'node:fs';
import { afterAll, expect, test } from '@jest/globals';
import { quantizeSchema } from '../../agent/contracts/quantize.ts';
import { onnxRuntime } from '../../agent/runtime/onnxruntime.ts';
import { zeroFeeds } from '../support/feeds.ts';
import { agent, removeFolders } from './support/agent.ts';
import { DONE, refusal, tooWide } from './support/expect.ts';
import {
  DEMO,
  DEMO_MODEL,
  demoBytes,
  productModel,
  smallDemo,
  testFiles,
} from './support/files.ts';

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
  'auto makes one of the others and says what it compared',
  async () => {
    const output = files.path('auto.onnx');
    const ran = await agent(['quantize', smallDemo(files), '--to', 'auto', '-o', output, '--json']);
    expect(ran).toMatchObject(DONE);
    const report = quantizeSchema.parse(JSON.parse(ran.out));
    expect(report).toMatchObject({ output, scheme: 'auto', bytes: statSync(output).size });
    expect(report.made).toMatch(/^(int8-static|int8-dynamic|fp16|as it is)/);
    expect(report.candidates?.length).toBeGreaterThanOrEqual(2);
  },
  LIMIT_MS,
);

test(
  'saved ranges stand in for samples: the same model comes out',
  async () => {
    const [first, second] = [files.path('with-samples.onnx'), files.path('with-ranges.onnx')];
    const ranges = files.path('kept/ranges.json');
    const to = ['--to', 'int8-static'];
    const demo = smallDemo(files);
    const saved = await agent(['quantize', demo, ...to, '-o', first, '--save-ranges', ranges]);
    const loaded = await agent(['quantize', DEMO_MODEL, ...to, '-o', second, '--ranges', ranges]);
    expect([saved, loaded]).toMatchObject([DONE, DONE]);
    expect(readFileSync(second)).toEqual(readFileSync(first));
  },
  LIMIT_MS,
);

test(
  'ranges that cannot be used, and ranges that cannot be kept',
  async () => {
    const other = files.put('other.onnx', productModel());
    const output = files.path('never.onnx');
    const run = (model: string, ...more: readonly string[]) =>
      agent(['quantize', model, '--to', 'int8-static', '-o', output, ...more]);
    const kept = files.path('kept/ranges.json');
    const cut = files.put('cut.json', '{ "schema": ');
    expect(await run(other, '--ranges', kept)).toMatchObject(refusal(2, 'of another model'));
    expect(await run(other, '--ranges', cut)).toMatchObject(refusal(2, 'cut.json'));
    const missing = files.path('none.json');
    expect(await run(other, '--ranges', missing)).toMatchObject(refusal(2, 'none.json: no such'));
    const both = await run(DEMO, '--save-ranges', output);
    expect(both).toMatchObject(refusal(2, 'cannot hold both the model and its ranges'));
    const folder = await run(DEMO, '--save-ranges', files.folder);
    expect(folder).toMatchObject(refusal(2, 'it is a folder, not a file'));
    expect(existsSync(output)).toBe(false);
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
    const says = 'is what is to be quantized: give another name';
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
