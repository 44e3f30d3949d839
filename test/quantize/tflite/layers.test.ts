import { expect, test } from '@jest/globals';
import { MomentsAccumulator } from '../../../agent/calibration/layer-moments.ts';
import type { LayerMoments, Statistics } from '../../../agent/model/statistics.ts';
import type { TfliteModel } from '../../../agent/model/tflite/types.ts';
import { layersToSample } from '../../../agent/quantize/tflite/layers.ts';
import { quantizeStatic } from '../../../agent/quantize/tflite/static.ts';
import type { Feeds } from '../../../agent/runtime/types.ts';
import { floats, sqnr } from '../support.ts';
import { GraphBuilder } from './graphs.ts';
import { INT16, observe, runAll } from './support.ts';

const SHAPE = [1, 6, 6, 4];

function network() {
  const g = new GraphBuilder(51);
  const x = g.input('x', SHAPE);
  const body = g.depthwise('depthwise', g.conv('conv', x, 4, { activation: 'RELU' }), 'RELU');
  const flat = g.reshape('flat', body, [1, 144]);
  return { g, model: g.model([g.dense('out', flat, 6)]) };
}

test('names what meets the weights of each layer', () => {
  const { model } = network();
  const window = {
    kernel: [3, 3],
    strides: [1, 1],
    dilations: [1, 1],
    pads: [0, 0],
    padsAtEnd: [0, 0],
    same: 'upper',
    channelsLast: true,
  };
  expect(layersToSample(model)).toEqual([
    { key: '["x","conv/w"]', tensor: 'x', size: 36, groups: 1, window },
    { key: '["conv","depthwise/w"]', tensor: 'conv', size: 9, groups: 4, window },
    { key: '["flat","out/w"]', tensor: 'flat', size: 144, groups: 1 },
  ]);
});

/** The statistics with the moments of each layer's inputs. */
async function withMoments(
  model: TfliteModel,
  samples: readonly Feeds[],
  statistics: Statistics,
): Promise<Statistics> {
  const graph = model.subgraphs[0]!;
  const layers = layersToSample(model);
  const outputs = layers.map(({ tensor }) =>
    graph.tensors.findIndex(({ name }) => name === tensor),
  );
  const open = { ...graph, outputs: outputs.filter((at) => !graph.inputs.includes(at)) };
  const seen = await runAll({ ...model, subgraphs: [open] }, samples, 'plain');
  const found = new Map<string, LayerMoments>();
  for (const [seed, layer] of layers.entries()) {
    const sums = new MomentsAccumulator(layer, 384, seed);
    samples.forEach((feeds, i) => {
      const { data, shape } = (seen[i]![layer.tensor] ?? feeds[layer.tensor])!;
      sums.add(floats(data), shape, 36);
    });
    found.set(layer.key, sums.result()!);
  }
  return { ...statistics, layers: found };
}

test('rounding with a look at what meets the weights comes closer', async () => {
  const { g, model } = network();
  // Neighbouring pixels that go together are what nearest rounding does not know of.
  const samples = g.samples(24).map(({ x }, i) => {
    const values = floats(x!.data).map((value, at) => value / 8 + Math.sin(at / 40 + i));
    return { x: { ...x!, data: values } };
  });
  const [calibration, evaluation] = [samples.slice(0, 16), samples.slice(16)];
  const plain = await observe(model, calibration);
  const rich = await withMoments(model, calibration, plain);
  const reference = await runAll(model, evaluation);
  const close = async (statistics: Statistics) => {
    // With activations of 16 bits nothing but the weights makes noise.
    const { model: made } = quantizeStatic(model, statistics, INT16);
    const all = (list: typeof reference) =>
      Float32Array.from(list.flatMap((one) => [...floats(one['out']!.data)]));
    return sqnr(all(reference), all(await runAll(made, evaluation)));
  };
  expect(await close(rich)).toBeGreaterThan((await close(plain)) + 1);
});
