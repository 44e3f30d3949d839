import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parseOutputs, parseProfile, parseTimes } from '../../../agent/runtime/tensorrt/json.ts';
import { integerShare } from '../../../agent/runtime/tensorrt/layer-info.ts';
import { describeIf, sharedDir } from '../../support/available.ts';

test('times: one latency per inference, whatever else a version adds', () => {
  const text = `[
  { "startEnqMs" : 1, "latencyMs" : 40.6326, "endToEndMs" : 41 }
, { "startEnqMs" : 2, "latencyMs" : 40.5 }
]`;
  expect(parseTimes(text)).toEqual([40.6326, 40.5]);
  expect(parseTimes('[]')).toEqual([]);
});

test('profile: the slowest layer first, with or without medians', () => {
  const text = `[ { "count" : 100 }
, { "name" : "a", "timeMs" : 100, "averageMs" : 1, "percentage" : 25 }
, { "name" : "b", "timeMs" : 300, "averageMs" : 3, "medianMs" : 2.9, "percentage" : 75 } ]`;
  expect(parseProfile(text)).toEqual({
    inferences: 100,
    layers: [
      { name: 'b', averageMs: 3, medianMs: 2.9, share: 0.75 },
      { name: 'a', averageMs: 1, medianMs: undefined, share: 0.25 },
    ],
  });
});

describe('outputs', () => {
  test('names, shapes and values', () => {
    const text = `[ { "name" : "y:0", "dimensions" : "1x3", "values" : [ 1, -2.5e-05, 3 ] }
, { "name" : "n", "dimensions" : "", "values" : [ 7 ] } ]`;
    expect(parseOutputs(text)).toEqual([
      { name: 'y:0', shape: [1, 3], values: [1, -2.5e-5, 3] },
      { name: 'n', shape: [], values: [7] },
    ]);
  });

  test('what C++ prints for NaN and infinity, and names that look like it', () => {
    const text =
      '[ { "name" : "[nan, inf]", "dimensions" : "6", "values" : [ nan, -nan, inf, -inf, nan(ind), 1 ] } ]';
    const [output] = parseOutputs(text);
    expect(output?.values).toEqual([NaN, NaN, Infinity, -Infinity, NaN, 1]);
  });
});

test.each([
  ['text', 'no JSON', 'what trtexec --exportTimes wrote cannot be read'],
  ['a number', '3', 'expected array'],
  ['an entry without a latency', '[{ "startEnqMs": 1 }]', '0.latencyMs'],
  ['a latency below zero', '[{ "latencyMs": -1 }]', '0.latencyMs'],
])('times: %s is refused', (_, text, message) => {
  expect(() => parseTimes(text)).toThrow(message);
});

test('outputs: a value that is no number is refused', () => {
  const text = '[ { "name" : "y", "dimensions" : "1", "values" : [ "x" ] } ]';
  expect(() => parseOutputs(text)).toThrow('--exportOutput');
});

describe('layer information', () => {
  const conv = (Type: string, Count: number, dims: readonly number[]) => ({
    Name: 'c',
    LayerType: 'CaskConvolution',
    Outputs: [{ Dimensions: dims }],
    Weights: { Type, Count },
  });

  test('weights times pixels of the output: 72 * 100 of 72 * 100 + 800 are in INT8', () => {
    const Layers = [conv('Int8', 72, [1, 8, 10, 10]), conv('Half', 800, [1, 10, 1, 1])];
    expect(integerShare(JSON.stringify({ Layers }))).toBeCloseTo(0.9, 12);
  });

  test('fused layers do not tell, nor do names alone, nor nonsense', () => {
    const opaque = { Name: '{ForeignNode[a...b]}', LayerType: 'Myelin' };
    const layers = [conv('Int8', 1, [1, 1, 1, 1]), opaque];
    expect(integerShare(JSON.stringify({ Layers: layers }))).toBeNull();
    expect(integerShare(JSON.stringify({ Layers: ['a', 'b'] }))).toBeNull();
    expect(integerShare(JSON.stringify({ Layers: [{ Name: 'a' }] }))).toBeNull();
    expect(integerShare('')).toBeNull();
  });
});

describeIf('shared')('captured files', () => {
  const folder = sharedDir('boards/outputs/trtexec');
  const read = (name: string) => readFileSync(`${folder}/${name}`, 'utf8');

  test('every one is read', () => {
    for (const name of readdirSync(folder).filter((one) => one.endsWith('.json'))) {
      const parse = name.startsWith('times') ? parseTimes : parseProfile;
      expect(() => parse(read(name))).not.toThrow();
    }
    expect(parseTimes(read('times-trt8.2.json'))).toEqual([40.6326, 40.6212]);
    expect(parseProfile(read('profile.json')).layers).toHaveLength(2);
  });
});
