import { expect, test } from '@jest/globals';
import { TensorAccumulator } from '../../../agent/calibration/observers/accumulator.ts';
import { toStatistics } from '../../../agent/calibration/observers/statistics.ts';
import { openBodies } from '../../../agent/fit/calibrate/body-tensors.ts';
import { exposeTensors } from '../../../agent/model/onnx/expose.ts';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { DataType } from '../../../agent/model/onnx/tensor.ts';
import { simplify } from '../../../agent/quantize/onnx/prepare/prepare.ts';
import { quantizeStatic } from '../../../agent/quantize/onnx/static.ts';
import { tensorsToObserve } from '../../../agent/quantize/onnx/static-plan.ts';
import type { Feeds } from '../../../agent/runtime/types.ts';
import {
  STATIC,
  floats,
  kernelsOf,
  randomTensor,
  randomValues,
  randoms,
  run,
  sqnr,
  weights,
} from '../../quantize/support.ts';
import { SATURATES } from '../../quantize/onnx/reference.ts';
import { tinyGraph, tinyModel } from '../../support/onnx-models.ts';

const next = randoms(17);

/** A convolution in each branch, one with weights of the graph around it; both call things `c`. */
function twoBranches() {
  const branch = (weight: string, own: boolean, name: string) =>
    tinyGraph({
      outputs: { [name]: [1] },
      initializers: own ? [weights(weight, [4, 8, 3, 3], randomValues(next, 288))] : [],
      nodes: [makeNode('Conv', ['x', weight], ['c']), makeNode('Relu', ['c'], [name])],
    });
  return tinyModel({
    inputs: { x: [1, [1, 8, 6, 6]], flag: [DataType.BOOL, []] },
    outputs: { y: [1] },
    initializers: [weights('outer', [4, 8, 3, 3], randomValues(next, 288))],
    nodes: [
      makeNode('If', ['flag'], ['y'], {
        attributes: {
          then_branch: branch('outer', false, 'a'),
          else_branch: branch('inner', true, 'b'),
        },
      }),
    ],
  });
}

const feedsOf = (flag: boolean): Feeds => ({
  x: randomTensor(next, [1, 8, 6, 6], 2),
  flag: { dtype: 'bool', shape: [], data: Uint8Array.of(flag ? 1 : 0) },
});

test('branches are calibrated by the samples that took them, and run on integers', async () => {
  const model = simplify(twoBranches());
  const opened = openBodies(model, tensorsToObserve(model.graph));
  const accumulators = new Map(
    opened.tensors.map((name) => [
      name,
      new TensorAccumulator({ histogram: false, channels: true }),
    ]),
  );
  const samples = [true, false, true].map(feedsOf);
  for (const feeds of samples) {
    // oxlint-disable-next-line no-await-in-loop -- one session at a time
    const outputs = await run(exposeTensors(opened.model, opened.tensors), feeds, 'disabled');
    for (const [name, accumulator] of accumulators) {
      const tensor = outputs[name] ?? feeds[name];
      if (tensor?.dtype === 'float32') accumulator.add(floats(tensor.data), tensor.shape);
    }
  }
  const found = opened.restore({
    samples: samples.length,
    tensors: new Map([...accumulators].map(([name, one]) => [name, one.state()])),
  });
  expect([...found.tensors.keys()]).toEqual(expect.arrayContaining(['x', 'c', 'c_1', 'a', 'b']));
  const scheme = { ...STATIC, reduceRange: SATURATES };
  const made = quantizeStatic(model, toStatistics(found, 'min-max'), scheme);
  expect(made.ops.filter(({ precision }) => precision === 'float').map(({ op }) => op)).toEqual([
    'If',
  ]);
  for (const feeds of samples) {
    // oxlint-disable-next-line no-await-in-loop -- one session at a time
    const [before, after] = [await run(model, feeds), await run(made.model, feeds)];
    expect(sqnr(floats(before['y']?.data), floats(after['y']?.data))).toBeGreaterThan(30);
  }
  expect(await kernelsOf(made.model, samples[1]!)).toContain('QLinearConv');
});
