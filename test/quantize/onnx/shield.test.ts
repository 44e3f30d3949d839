import { expect, test } from '@jest/globals';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import type { NodeProto } from '../../../agent/model/onnx/generated/messages.ts';
import { quantizeStatic } from '../../../agent/quantize/onnx/static.ts';
import { tinyModel } from '../../support/onnx-models.ts';
import {
  STATIC,
  floats,
  kernelsOf,
  observe,
  randomTensor,
  randomValues,
  randoms,
  run,
  sqnr,
  weights,
} from '../support.ts';

/** Conv -> a -> these -> b -> Conv: the ones in the middle are to stay in float. */
const MIDDLE: Readonly<Record<string, readonly [kernel: string, nodes: readonly NodeProto[]]>> = {
  'an excluded convolution': ['Conv', [makeNode('Conv', ['a', 'w'], ['b'], { name: 'keep' })]],
  'an excluded convolution in front of a Relu': [
    'Conv',
    [makeNode('Conv', ['a', 'w'], ['r'], { name: 'keep' }), makeNode('Relu', ['r'], ['b'])],
  ],
  'an op excluded by the name of its output': [
    'LeakyRelu',
    [makeNode('LeakyRelu', ['a'], ['b'], { name: '' })],
  ],
  'a transposed convolution': ['ConvTranspose', [makeNode('ConvTranspose', ['a', 'w'], ['b'])]],
};

test.each(Object.entries(MIDDLE))(
  '%s stays in float among integers',
  async (_, [kernel, nodes]) => {
    const next = randoms(2);
    const x = randomTensor(next, [1, 3, 6, 6]);
    // Channels so unlike that one scale for all would lose the first.
    const uneven = randomValues(next, 9).map((value, i) => (i < 3 ? value / 1000 : value));
    const model = tinyModel({
      inputs: { x: [1, [1, 3, 6, 6]] },
      outputs: { y: [1] },
      initializers: [weights('w', [3, 3, 1, 1], uneven)],
      nodes: [makeNode('Conv', ['x', 'w'], ['a']), ...nodes, makeNode('Conv', ['b', 'w'], ['y'])],
    });
    const statistics = await observe(model, [{ x }]);
    const excluded = ['keep', 'b'].filter(() => kernel !== 'ConvTranspose');
    const made = quantizeStatic(model, statistics, { ...STATIC, excluded });
    const kernels = await kernelsOf(made.model, { x });
    expect(kernels).toContain(kernel);
    expect(kernels.filter((one) => one === 'QLinearConv')).toHaveLength(2);
    // One behind the first convolution and one behind the last, none for weights.
    expect(kernels.filter((one) => one === 'DequantizeLinear')).toHaveLength(2);
    const [before, after] = [await run(model, { x }), await run(made.model, { x })];
    expect(sqnr(floats(before['y']!.data), floats(after['y']!.data))).toBeGreaterThan(30);
  },
);

test('a float op at the end of the integers is left as it is', async () => {
  const next = randoms(4);
  const x = randomTensor(next, [1, 3, 6, 6]);
  const model = tinyModel({
    inputs: { x: [1, [1, 3, 6, 6]] },
    outputs: { y: [1] },
    initializers: [weights('w', [3, 3, 1, 1], randomValues(next, 9))],
    nodes: [makeNode('Conv', ['x', 'w'], ['a']), makeNode('ConvTranspose', ['a', 'w'], ['y'])],
  });
  const made = quantizeStatic(model, await observe(model, [{ x }]), STATIC);
  expect(made.model.graph.node.map(({ opType }) => opType)).not.toContain('Sum');
});
