import { expect, test } from '@jest/globals';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { DataType } from '../../../agent/model/onnx/tensor.ts';
import { convShape } from '../../../agent/quantize/onnx/conv-shape.ts';
import { quantizeStatic } from '../../../agent/quantize/onnx/static.ts';
import { slowConv } from '../../../agent/quantize/onnx/slow-conv.ts';
import { tinyModel } from '../../support/onnx-models.ts';
import { STATIC, floats, observe, randomTensor, randoms, weights } from '../support.ts';

const of = (input: readonly number[], kernel: readonly number[]) =>
  convShape(makeNode('Conv', [], []), input, kernel)!;

test('a filter of one channel is slower in integers, unless it can be folded', () => {
  expect(slowConv(of([1, 1, 11215], [1, 1, 256]), false)).toMatch(/slower/);
  expect(slowConv(of([1, 64, 32, 32], [64, 64, 3, 3]), false)).toBeUndefined();
  expect(slowConv(of([1, 8, 32, 64], [8, 8, 3, 3]), true)).toBeUndefined();
});

test('such a filter stays in float, with the reason, while others become integers', async () => {
  const next = randoms(5);
  const x = randomTensor(next, [1, 1, 4099]);
  const kernel = (name: string, dims: readonly number[]) =>
    weights(name, dims, floats(randomTensor(next, dims, 0.2).data));
  const model = tinyModel({
    inputs: { x: [DataType.FLOAT, x.shape] },
    outputs: { y: [DataType.FLOAT] },
    nodes: [
      makeNode('Conv', ['x', 'w0'], ['a'], { name: 'filter' }),
      makeNode('Conv', ['a', 'w1'], ['b'], { name: 'wide' }),
      makeNode('Conv', ['b', 'w2'], ['y'], { name: 'mix' }),
    ],
    initializers: [kernel('w0', [1, 1, 256]), kernel('w1', [32, 1, 5]), kernel('w2', [16, 32, 3])],
  });
  const statistics = await observe(model, [{ x }]);
  const precision = ({ ops }: ReturnType<typeof quantizeStatic>) =>
    Object.fromEntries(ops.map(({ node, precision: made }) => [node, made]));
  const u8 = quantizeStatic(model, statistics, STATIC);
  expect(precision(u8)).toEqual({ filter: 'float', wide: 'integer', mix: 'integer' });
  expect(u8.ops[0]!.reason).toMatch(/few channels/);
  // The estimate is for x86, whose activations are u8.
  const s8 = quantizeStatic(model, statistics, { ...STATIC, activations: 's8' });
  expect(precision(s8)).toEqual({ filter: 'integer', wide: 'integer', mix: 'integer' });
});

test('automatic padding is what its name says', () => {
  const axis = (name: string) => {
    const attributes = { auto_pad: name, strides: [2n] };
    return convShape(makeNode('Conv', [], [], { attributes }), [1, 1, 8], [1, 1, 3])!.axes[0];
  };
  expect(axis('SAME_UPPER')).toMatchObject({ begin: 0, end: 1, output: 4 });
  expect(axis('SAME_LOWER')).toMatchObject({ begin: 1, end: 0, output: 4 });
  expect(axis('VALID')).toMatchObject({ begin: 0, end: 0, output: 3 });
});
