import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { NodeProto, TensorProto } from '../../../../agent/model/onnx/generated/messages.ts';
import { makeNode } from '../../../../agent/model/onnx/graph.ts';
import type { AttributeValue } from '../../../../agent/model/onnx/graph.ts';
import { int64Tensor } from '../../../../agent/model/onnx/tensor.ts';
import { tinyModel } from '../../../support/onnx-models.ts';
import {
  floats,
  randomTensor,
  randomValues,
  randoms,
  relativeError,
  runAll,
  sizeOf,
  weights,
} from '../../support.ts';
import { equalized } from './support.ts';

const STEPS = ['Conv', 'Conv', 'Depthwise', 'Relu', 'LeakyRelu', 'MaxPool', 'Residual', 'Join'];
const plans = fc.record({
  seed: fc.nat(),
  steps: fc.array(fc.constantFrom(...STEPS, 'Shuffle', 'Split', 'Gate'), {
    minLength: 3,
    maxLength: 8,
  }),
  strength: fc.constantFrom(0.25, 0.5, 1),
});
const SHAPE = [1, 3, 6, 6];

/** A chain of layers of even numbers of channels, with branches that return to it. */
function chainOf(seed: number, steps: readonly string[]) {
  const next = randoms(seed);
  const nodes: NodeProto[] = [];
  const initializers: TensorProto[] = [];
  const constant = (tensor: TensorProto) => {
    initializers.push(tensor);
    return tensor.name ?? '';
  };
  const node = (op: string, input: readonly string[], attributes = {}, outputs = 1): string => {
    const output = Array.from({ length: outputs }, (_, k) => `t${nodes.length}_${k}`);
    nodes.push(makeNode(op, input, output, { attributes }));
    return output[0] ?? '';
  };
  const random = (...dims: number[]) =>
    constant(weights(`w${initializers.length}`, dims, randomValues(next, sizeOf(dims))));
  const conv = (
    input: string,
    from: number,
    to: number,
    attributes: Record<string, AttributeValue>,
  ) => node('Conv', [input, random(to, from, 1, 1), random(to)], attributes);
  let at = conv('x', 3, 4, {});
  let channels = 4;
  const apply: Record<string, () => string> = {
    Conv: () => conv(at, channels, (channels = 2 + 2 * Math.floor(next() + 2)), {}),
    Depthwise: () => conv(at, 1, channels, { group: BigInt(channels) }),
    Relu: () => node('Relu', [at]),
    LeakyRelu: () => node('LeakyRelu', [at], { alpha: 0.2 }),
    MaxPool: () => node('MaxPool', [at], { kernel_shape: [3n, 3n], pads: [1n, 1n, 1n, 1n] }),
    Residual: () => node('Add', [at, conv(at, channels, channels, {})]),
    Join: () => {
      const joined = node('Concat', [at, conv(at, channels, 2, {})], { axis: 1n });
      channels += 2;
      return joined;
    },
    Shuffle: () => {
      const shape = (name: string, ...dims: number[]) =>
        constant({ ...int64Tensor('', dims), name: `${name}${initializers.length}` });
      const split = node('Reshape', [at, shape('a', 1, 2, channels / 2, 6, 6)]);
      const turned = node('Transpose', [split], { perm: [0n, 2n, 1n, 3n, 4n] });
      return node('Reshape', [turned, shape('b', 1, channels, 6, 6)]);
    },
    Split: () => {
      node('Split', [at], { axis: 1n }, 2);
      const [left = '', right = ''] = nodes.at(-1)!.output;
      return node('Concat', [node('Relu', [right]), left], { axis: 1n });
    },
    Gate: () => {
      const mean = node('GlobalAveragePool', ['x']);
      const gate = node('Sigmoid', [conv(mean, 3, channels, {})]);
      return node('Mul', [at, gate]);
    },
  };
  for (const step of steps) at = apply[step]!();
  const flat = node('Flatten', [conv(at, channels, 4, {})]);
  nodes.push(makeNode('Gemm', [flat, random(144, 5), random(5)], ['y']));
  return tinyModel({ inputs: { x: [1, SHAPE] }, outputs: { y: [1] }, nodes, initializers });
}

test('equalized random networks compute the same function', async () => {
  let scaled = 0;
  await fc.assert(
    fc.asyncProperty(plans, async ({ seed, steps, strength }) => {
      const model = chainOf(seed, steps);
      const next = randoms(seed + 1);
      const samples = [1, 2].map(() => ({ x: randomTensor(next, SHAPE, 2) }));
      const result = await equalized(model, samples, { strength, headroom: 1 });
      scaled += result.groups.length;
      const before = await runAll(model, samples);
      const after = await runAll(result.model, samples);
      before.forEach((outputs, i) => {
        const error = relativeError(floats(outputs['y']!.data), floats(after[i]!['y']!.data));
        expect(error).toBeLessThan(1e-4);
      });
    }),
    { seed: 7, numRuns: 60, endOnFailure: false },
  );
  expect(scaled).toBeGreaterThan(100);
}, 60_000);
