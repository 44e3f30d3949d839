import { bytesOf } from '../../../agent/model/bytes.ts';
import { floatData } from '../../../agent/model/tflite/tensor.ts';
import type { TfliteModel } from '../../../agent/model/tflite/types.ts';
import type { Feeds } from '../../../agent/runtime/types.ts';
import { randoms } from '../support.ts';
import { GraphBuilder } from './graphs.ts';

export const channelsOf = (g: GraphBuilder, x: number) => g.shape(x).at(-1)!;

/** Slopes of channels, below and above zero. */
export function prelu(g: GraphBuilder, x: number, name: string): number {
  const slopes = g.random(`${name}/slopes`, [1, 1, channelsOf(g, x)], 0.5);
  return g.make('PRELU', name, [x, slopes], g.shape(x));
}

/** Blocks as face recognition has them: depthwise layers between PRELUs, then a linear one. */
export function unevenNet(samples: number): {
  readonly model: TfliteModel;
  readonly samples: readonly Feeds[];
} {
  const g = new GraphBuilder(5);
  let x = g.conv('stem', g.input('x', [1, 8, 8, 3]), 16);
  for (const block of ['a', 'b', 'c']) {
    x = prelu(g, x, `${block}/prelu`);
    x = prelu(g, g.depthwise(`${block}/depthwise`, x), `${block}/prelu2`);
    x = g.conv(`${block}/linear`, x, 16, { size: 1 });
  }
  const model = uneven(g.model([g.conv('y', x, 8, { size: 1 })]), 3);
  return { model, samples: g.samples(samples) };
}

/** Channels of one tensor made up to 50 times as large as others, by what makes and what reads them. */
function uneven(model: TfliteModel, seed: number): TfliteModel {
  const next = randoms(seed);
  const [graph] = model.subgraphs;
  const tensors = [...graph!.tensors];
  let factors: readonly number[] = [];
  const scale = (at: number, change: (value: number, i: number) => number) => {
    const tensor = tensors[at]!;
    tensors[at] = { ...tensor, data: bytesOf(floatData(tensor).map(change)) };
  };
  const layers = graph!.operators.filter(({ op }) => op.includes('CONV_2D'));
  layers.forEach(({ op, inputs: [, weights = -1, bias = -1] }, k) => {
    const shape = tensors[weights]!.shape;
    const isDepthwise = op === 'DEPTHWISE_CONV_2D';
    const inputs = shape[3]!;
    if (factors.length > 0) scale(weights, (value, i) => value / factors[i % inputs]!);
    if (k === layers.length - 1) return;
    const outputs = isDepthwise ? inputs : shape[0]!;
    const per = isDepthwise ? 1 : tensors[weights]!.data!.length / 4 / outputs;
    factors = Array.from({ length: outputs }, () => 50 ** -Math.abs(next()));
    scale(weights, (value, i) => value * factors[isDepthwise ? i % outputs : Math.floor(i / per)]!);
    scale(bias, (value, c) => value * factors[c]!);
  });
  return { ...model, subgraphs: model.subgraphs.with(0, { ...graph!, tensors }) };
}
