import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Scheme } from '../../../agent/contracts/scheme.ts';
import { schemePresets } from '../../../agent/contracts/scheme.ts';
import { OnnxMaker } from '../../../agent/fit/make/make.ts';
import { makeScratch } from '../../../agent/fit/scratch.ts';
import type { Scratch } from '../../../agent/fit/scratch.ts';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import type { OnnxModel } from '../../../agent/model/onnx/open.ts';
import { npy } from '../../calibration/make-arrays.ts';
import { weights } from '../../quantize/support.ts';
import { tinyModel } from '../../support/onnx-models.ts';

let scratch: Scratch;
let path: string;
beforeAll(async () => {
  scratch = await makeScratch();
  path = scratch.file('x.npy');
  const values = Float32Array.from({ length: 8 * 4 }, (_, at) => Math.sin(at));
  await writeFile(path, npy('<f4', [8, 1, 2, 2], values));
});
afterAll(() => scratch.remove());

/** 1x1 convolution with channels of 8 and of 0.5, ReLU, depthwise convolution. */
const uneven = () =>
  tinyModel({
    inputs: { x: [1, ['batch', 1, 2, 2]] },
    outputs: { y: [1] },
    nodes: [
      makeNode('Conv', ['x', 'w', 'b'], ['c']),
      makeNode('Relu', ['c'], ['mid']),
      makeNode('Conv', ['mid', 'd'], ['y'], { attributes: { group: 2n } }),
    ],
    initializers: [
      weights('w', [2, 1, 1, 1], [8, 0.5]),
      weights('b', [2], [16, 1]),
      weights('d', [2, 1, 1, 1], [3, 6]),
    ],
  });

/** The models that the schemes are made of, and how often channels were looked at. */
async function equalizedFor(schemes: readonly Partial<Scheme>[]) {
  let looks = 0;
  const progress = ({ phase }: { readonly phase: string }) => {
    if (phase === 'looking at channels') looks += 1;
  };
  const maker = new OnnxMaker({
    float: uneven(),
    calibration: { origin: { path }, inputs: {}, image: {} },
    calibrationCount: 8,
    threads: 1,
    scratch,
    hooks: { signal: new AbortController().signal, progress },
  });
  const models: OnnxModel[] = [];
  for (const scheme of schemes) {
    // oxlint-disable-next-line no-await-in-loop -- each may use what was made for the one before
    const { model } = await maker.parts({ ...schemePresets['int8-static'], ...scheme });
    models.push(model);
  }
  const isScaled = ({ graph }: OnnxModel) =>
    graph.initializer.some(({ name }) => name === 'w_equalized');
  return { models, scaled: models.map(isScaled), looks };
}

test('asked for or not, a small model is equalized once', async () => {
  const once = await equalizedFor([{}]);
  const both = await equalizedFor([{}, { equalize: true }]);
  expect(once.scaled).toEqual([true]);
  expect(both.looks).toBe(once.looks);
  expect(both.models[1]).toBe(both.models[0]);
  // With a strength of one's own it is another model.
  const strong = await equalizedFor([{}, { equalize: true, smooth: 1 }]);
  expect(strong.looks).toBeGreaterThan(once.looks);
});

test('what a rule gives a range to is not scaled', async () => {
  const { scaled } = await equalizedFor([{ rules: [{ name: 'mid', range: [0, 2] }] }]);
  expect(scaled).toEqual([false]);
});
