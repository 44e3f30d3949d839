import { expect, test } from '@jest/globals';
import { layerKey } from '../../../agent/model/statistics.ts';
import { floatData } from '../../../agent/model/tflite/tensor.ts';
import { FilterEnlarger } from '../../../agent/quantize/tflite/enlarge.ts';
import { GraphBuilder } from './graphs.ts';
import { NOTHING } from './support.ts';

/** Two filters of 1 x 2 taps and two channels. */
function small() {
  const g = new GraphBuilder();
  const x = g.input('x', [1, 4, 4, 2]);
  const w = g.floats('w', [1, 2, 3, 4, 5, 6, 7, 8], [2, 1, 2, 2]);
  const y = g.make('CONV_2D', 'y', [x, w, g.floats('b', [0, 0])], [1, 4, 4, 2], {
    kind: 'Conv2DOptions',
    padding: 'SAME',
    strideW: 1,
    strideH: 1,
    dilationWFactor: 1,
    dilationHFactor: 1,
    fusedActivationFunction: 'NONE',
    quantizedBiasType: 'FLOAT32',
  });
  return g.model([y]).subgraphs[0]!;
}

const FRAME = { height: 2, width: 3, top: 1, left: 1 };

test('a filter stands in a larger one of zeros', () => {
  const graph = small();
  const enlarger = new FilterEnlarger(graph, NOTHING);
  const inputs = enlarger.inputsOf(graph.operators[0]!, FRAME);
  const { tensors, statistics } = enlarger.finish();
  expect(statistics).toEqual(NOTHING);
  expect(inputs).toEqual(graph.operators[0]!.inputs.with(1, graph.tensors.length));
  const { name, shape, ...rest } = tensors.at(-1)!;
  expect([name, shape]).toEqual(['w_2x3', [2, 2, 3, 2]]);
  const zeros = new Float32Array(8);
  expect(floatData({ name, shape, ...rest })).toEqual(
    Float32Array.of(...zeros, 1, 2, 3, 4, ...zeros, 5, 6, 7, 8),
  );
});

test('what is known of what meets its weights goes with them, block by block', () => {
  const graph = small();
  const layers = new Map([
    [
      layerKey('x', 'w'),
      {
        groups: 1,
        size: 4,
        block: 3,
        count: 9,
        mean: Float64Array.of(1, 2, 3, 4),
        // Of the first three, and of the fourth.
        covariance: Float32Array.of(11, 12, 13, 12, 22, 23, 13, 23, 33, 44),
      },
    ],
  ]);
  const enlarger = new FilterEnlarger(graph, { ...NOTHING, layers });
  enlarger.inputsOf(graph.operators[0]!, FRAME);
  const found = enlarger.finish().statistics.layers?.get(layerKey('x', 'w_2x3'));
  expect(found).toMatchObject({ groups: 1, size: 12, block: 12, count: 9 });
  expect([...found!.mean]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
  const square = Array.from({ length: 12 }, (_, row) => [
    ...found!.covariance.subarray(row * 12, (row + 1) * 12),
  ]);
  // New taps vary as the others do on average, by themselves: (11 + 22 + 33 + 44) / 4.
  for (const [at, row] of square.slice(0, 8).entries()) {
    expect(row).toEqual(row.map((_, k) => (k === at ? 27.5 : 0)));
  }
  expect(square.slice(8).map((row) => row.slice(8))).toEqual([
    [11, 12, 13, 0],
    [12, 22, 23, 0],
    [13, 23, 33, 0],
    [0, 0, 0, 44],
  ]);
});

test('groups keep what is theirs', () => {
  const graph = small();
  const layers = new Map([
    [
      layerKey('x', 'w'),
      {
        groups: 2,
        size: 2,
        block: 2,
        count: 9,
        mean: Float64Array.of(1, 2, 3, 4),
        covariance: Float32Array.of(11, 12, 12, 22, 33, 34, 34, 44),
      },
    ],
  ]);
  const enlarger = new FilterEnlarger(graph, { ...NOTHING, layers });
  enlarger.inputsOf(graph.operators[0]!, { height: 1, width: 3, top: 0, left: 1 });
  expect(enlarger.finish().statistics.layers?.get(layerKey('x', 'w_1x3'))).toEqual({
    groups: 2,
    size: 3,
    block: 3,
    count: 9,
    mean: Float64Array.of(0, 1, 2, 0, 3, 4),
    covariance: Float32Array.of(16.5, 0, 0, 0, 11, 12, 0, 12, 22, 38.5, 0, 0, 0, 33, 34, 0, 34, 44),
  });
});
