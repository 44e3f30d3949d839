import { existsSync, readFileSync } from 'node:fs';
import { afterAll, expect, test } from '@jest/globals';
import { inspectSchema } from '../../agent/contracts/inspect.ts';
import { agent, removeFolders } from './support/agent.ts';
import { DONE, refusal, tooWide } from './support/expect.ts';
import { DEMO, DEMO_MODEL, smallDemo, testFiles } from './support/files.ts';

afterAll(removeFolders);
const files = testFiles();
const LIMIT_MS = 90_000;

test(
  'the demo: what is in it, for people and as JSON',
  async () => {
    const ran = await agent(['inspect', DEMO]);
    expect(ran).toMatchObject(DONE);
    expect(ran.out).toMatch(/^Model {7}/);
    expect(tooWide(ran, DEMO_MODEL)).toEqual([]);
    const json = await agent(['inspect', DEMO_MODEL, '--json']);
    expect(json).toMatchObject(DONE);
    const { model, integerCoverage } = inspectSchema.parse(JSON.parse(json.out));
    expect(model).toMatchObject({ precision: 'fp32', form: null, format: 'onnx' });
    expect(integerCoverage).toBe(0);
  },
  LIMIT_MS,
);

test(
  'the demo and its INT8 version: the error of each layer, and a drawing of it',
  async () => {
    const [small, chart] = [files.path('small.onnx'), files.path('charts/error.svg')];
    const demo = smallDemo(files);
    await agent(['quantize', demo, '--to', 'int8-static', '-o', small]);
    const ran = await agent(['inspect', demo, small, '--limit', '4', '-o', chart]);
    expect(ran).toMatchObject(DONE);
    expect(ran.out).toContain('Most error is added by');
    expect(tooWide(ran, DEMO_MODEL, small)).toEqual([]);
    expect(readFileSync(chart, 'utf8')).toMatch(/^<svg .*<\/svg>\n$/s);
    const json = await agent(['inspect', demo, small, '--limit', '4', '--json']);
    const { comparison, integerCoverage } = inspectSchema.parse(JSON.parse(json.out));
    expect(integerCoverage).toBeGreaterThan(0.9);
    expect(comparison).toMatchObject({ samples: 4 });
    expect(comparison?.layers.some(({ integer }) => integer)).toBe(true);
    expect(comparison?.layers.filter(({ output }) => output)).toHaveLength(1);
  },
  LIMIT_MS,
);

test(
  'a model against itself: no error',
  async () => {
    const ran = await agent(['inspect', DEMO, DEMO, '--limit', '1']);
    expect(ran).toMatchObject(DONE);
    expect(ran.out).toContain('No layer differs');
  },
  LIMIT_MS,
);

test(
  'refused: missing, broken, in the wrong order, without samples',
  async () => {
    const small = files.path('small.onnx');
    const swapped = await agent(['inspect', small, DEMO]);
    expect(swapped).toMatchObject(refusal(2, 'give the float model first'));
    const nothing = await agent(['inspect', DEMO_MODEL, small]);
    expect(nothing).toMatchObject(refusal(2, 'give --samples'));
    const broken = await agent(['inspect', files.put('broken.onnx', 'no model')]);
    expect(broken).toMatchObject(refusal(2, 'broken.onnx'));
    const chart = files.path('never.html');
    const both = await agent(['inspect', DEMO, files.path('gone.onnx'), '-o', chart]);
    expect(both).toMatchObject(refusal(2, 'gone.onnx: no such file'));
    expect(existsSync(chart)).toBe(false);
  },
  LIMIT_MS,
);
