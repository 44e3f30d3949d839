import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { TensorAccumulator } from '../../../agent/calibration/observers/accumulator.ts';
import { schemeNames, schemePresets } from '../../../agent/contracts/scheme.ts';
import type { Scheme } from '../../../agent/contracts/scheme.ts';
import { effortOf } from '../../../agent/fit/calibrate/equalize.ts';
import {
  applyRecipe,
  observerToCollect,
  readRecipe,
  onnxOperations,
  statisticsFor,
  toRecipe,
  unmatched,
} from '../../../agent/fit/make/recipe.ts';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { tinyModel } from '../../support/onnx-models.ts';

let folder: string;
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), 'edgefit-recipe-'))));
afterAll(() => rm(folder, { recursive: true, force: true }));

async function read(value: unknown) {
  const path = join(folder, 'recipe.json');
  await writeFile(path, typeof value === 'string' ? value : JSON.stringify(value));
  return readRecipe(path);
}

const SMALLEST = { schema: 'edgefit/recipe/1', scheme: 'int8-static' } as const;
const model = tinyModel({
  inputs: { x: [1, [1, 4]] },
  outputs: { y: [1] },
  nodes: [
    makeNode('Relu', ['x'], ['r'], { name: 'first' }),
    makeNode('Relu', ['r'], ['y'], { name: 'second' }),
  ],
});

describe('read', () => {
  test('a recipe, and the report that has one in it', async () => {
    expect(await read(SMALLEST)).toEqual(SMALLEST);
    const report = { schema: 'edgefit/quantize/1', output: 'a.onnx', recipe: SMALLEST };
    expect(await read(report)).toEqual(SMALLEST);
  });

  test.each([
    ['not json', /recipe\.json is not JSON/],
    [{ schema: 'edgefit/bench/1' }, /is neither a recipe/],
    [[], /is neither a recipe/],
    [{ ...SMALLEST, observers: 'mse' }, /observers/],
    [{ ...SMALLEST, rules: [{ precision: 'float' }] }, /rules\.0: needs op or name/],
    [{ ...SMALLEST, rules: [{ op: 'Conv', range: [1, 1] }] }, /rules\.0\.range: min must be below/],
    [{ ...SMALLEST, rules: [{ op: 'Conv', precision: 'int4' }] }, /rules\.0\.precision/],
  ])('refused: %j', async (value, message) => {
    await expect(read(value)).rejects.toThrow(message);
    await expect(read(value)).rejects.toMatchObject({ code: 'bad-recipe' });
  });
});

test.each(schemeNames)('%s comes back from its own recipe', (name) => {
  const tuned = { equalize: false, smooth: 0.5, rounding: 'adaptive', biases: 'measured' } as const;
  const isStatic = schemePresets[name].method === 'static';
  const scheme: Scheme = {
    ...schemePresets[name],
    ...(isStatic ? tuned : {}),
    excluded: ['a'],
    rules: isStatic ? [{ op: 'Conv', range: [-1, 1] }] : [{ op: 'Conv', precision: 'float' }],
  };
  expect(applyRecipe(schemePresets[name], toRecipe(name, scheme))).toEqual(scheme);
});

test('rules choose observers and ranges for the outputs of single nodes', () => {
  const observed = (values: number[]) => {
    const accumulator = new TensorAccumulator({ histogram: true, channels: false });
    accumulator.add(Float32Array.from(values), [1, values.length]);
    return accumulator.state();
  };
  const mostly = [...Array.from({ length: 200_000 }, (_, i) => (i % 100) / 100), 50];
  const collection = {
    samples: 1,
    tensors: new Map([
      ['x', observed([0, 1])],
      ['r', observed(mostly)],
      ['y', observed(mostly)],
    ]),
  };
  const scheme: Scheme = {
    ...schemePresets['int8-static'],
    rules: [
      { name: 'first', observer: 'percentile' },
      { name: 'second', range: [-2, 3] },
    ],
  };
  expect(observerToCollect(scheme)).toBe('percentile');
  const { tensors } = statisticsFor(collection, scheme, onnxOperations(model.graph));
  expect(tensors.get('x')).toMatchObject({ min: 0, max: 1 });
  expect(tensors.get('r')?.max).toBeLessThan(2);
  expect(tensors.get('y')).toMatchObject({ min: -2, max: 3, seenMax: 50 });
});

test('rules reach what a clamp behind the node lets through', () => {
  const clamped = tinyModel({
    inputs: { x: [1, [1, 4]] },
    outputs: { y: [1] },
    nodes: [
      makeNode('Neg', ['x'], ['n'], { name: 'layer' }),
      makeNode('Relu', ['n'], ['y'], { name: 'clamp' }),
    ],
  });
  const state = () => {
    const accumulator = new TensorAccumulator({ histogram: false, channels: false });
    accumulator.add(Float32Array.of(-1, 1), [1, 2]);
    return accumulator.state();
  };
  const tensors = new Map(['x', 'n', 'y'].map((name) => [name, state()]));
  const scheme: Scheme = {
    ...schemePresets['int8-static'],
    rules: [{ name: 'layer', range: [-2, 3] }],
  };
  const found = statisticsFor(
    { samples: 1, tensors },
    scheme,
    onnxOperations(clamped.graph),
  ).tensors;
  expect(found.get('n')).toMatchObject({ min: -2, max: 3 });
  expect(found.get('y')).toMatchObject({ min: -2, max: 3 });
  expect(found.get('x')).toMatchObject({ min: -1, max: 1 });
});

test('what a scheme would pass over is refused', () => {
  const recipe = { ...SMALLEST, scheme: 'weight-int8', observer: 'mse' } as const;
  expect(() => applyRecipe(schemePresets['weight-int8'], recipe)).toThrow(
    'observer means nothing to the scheme weight-int8',
  );
  const inRule = { ...SMALLEST, scheme: 'fp16', rules: [{ op: 'Conv', range: [0, 1] }] } as const;
  expect(() =>
    applyRecipe(schemePresets.fp16, { ...inRule, rules: [{ op: 'Conv', range: [0, 1] }] }),
  ).toThrow('range means nothing');
});

test('ranges are of tensors as they are, which equalizing rescales', () => {
  const rules = [{ name: 'mid', range: [0, 2] as [number, number] }];
  expect(() =>
    applyRecipe(schemePresets['int8-static'], { ...SMALLEST, equalize: true, rules }),
  ).toThrow('equalize rescales the tensors that a rule gives a range to');
  const scheme = applyRecipe(schemePresets['int8-static'], { ...SMALLEST, rules });
  expect(effortOf(scheme)).toBeUndefined();
  expect(effortOf({ ...scheme, rules: [{ name: 'mid', observer: 'mse' }] })).toBeDefined();
});

test('names and rules that match nothing are told', () => {
  const scheme: Scheme = {
    ...schemePresets['int8-static'],
    excluded: ['first', 'y', 'third'],
    rules: [{ op: 'Relu' }, { op: 'Conv', name: 'f*' }],
  };
  expect(unmatched(scheme, [model])).toEqual([
    "excluded: 'third' is no node of the model",
    'rule 2 matches no node',
  ]);
});
