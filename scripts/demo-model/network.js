/** The demo network as data, and the same data turned into layers that can be trained. */
import { createConv } from './conv.js';
import { CLASSES, SIZE } from './draw.js';
import { createDepthwise } from './depthwise.js';
import { createHead, createResidual } from './layers.js';
import { createNorm } from './norm.js';
import { between, randomSource } from './random.js';

/**
 * @typedef {{ op: 'conv', out: number, kernel: 1 | 3, relu: boolean }} ConvStep
 * @typedef {{ op: 'depthwise', stride: 1 | 2 }} DepthwiseStep
 * @typedef {{ op: 'residual', body: readonly Step[] }} ResidualStep
 * @typedef {ConvStep | DepthwiseStep | ResidualStep} Step
 */

const conv = (out, kernel = 3, relu = true) => ({ op: 'conv', out, kernel, relu });
const separable = (out, stride) => [{ op: 'depthwise', stride }, conv(out, 1)];

/** Every convolution is followed by batch normalisation and, unless it says otherwise, Relu. */
export const STEPS = Object.freeze([
  conv(16),
  conv(32),
  { op: 'residual', body: [conv(32), conv(32, 3, false)] },
  ...separable(64, 2),
  { op: 'residual', body: [conv(64), conv(64, 3, false)] },
  ...separable(96, 2),
  ...separable(96, 2),
]);

/** He initialisation with a uniform distribution: variance 2 / fan-in. */
function initialWeights(random, count, fanIn) {
  const limit = Math.sqrt(6 / fanIn);
  return Float32Array.from({ length: count }, () => between(random, -limit, limit));
}

/** Builds the layers of one step; returns them with the shape of what they put out. */
function buildStep(engine, step, shape, random) {
  const { batch, channels, size } = shape;
  if (step.op === 'residual') {
    const body = step.body.reduce((built, inner) => {
      const { layers } = buildStep(engine, inner, shape, random);
      return [...built, ...layers];
    }, []);
    return { shape, layers: [createResidual(engine, shape, body)] };
  }
  if (step.op === 'depthwise') {
    const weights = initialWeights(random, channels * 9, 9);
    const out = { batch, channels, size: size / step.stride };
    const layer = createDepthwise(engine, { ...shape, stride: step.stride }, weights);
    return { shape: out, layers: [layer, createNorm(engine, out, true)] };
  }
  const area = step.kernel * step.kernel;
  const weights = initialWeights(random, step.out * channels * area, channels * area);
  const out = { batch, channels: step.out, size };
  const sizes = { input: channels, out: step.out, kernel: step.kernel, size, batch };
  const layers = [createConv(engine, sizes, weights), createNorm(engine, out, step.relu)];
  return { shape: out, layers };
}

/**
 * @param {import('./kernels.js').Engine} engine
 * @param {{ batch: number, seed: number }} options
 */
export function createNetwork(engine, { batch, seed }) {
  const random = randomSource(seed);
  const built = STEPS.reduce(
    (state, step) => {
      const { layers, shape } = buildStep(engine, step, state.shape, random);
      return { shape, layers: [...state.layers, ...layers] };
    },
    { layers: [], shape: { batch, channels: 1, size: SIZE } },
  );
  const { channels, size } = built.shape;
  const weights = initialWeights(random, CLASSES * channels, 6 * channels);
  const head = createHead(engine, { batch, channels, size, classes: CLASSES }, weights);
  const layers = [...built.layers, head];
  return {
    layers,
    parameters: layers.flatMap((layer) => layer.parameters),
    /** @returns {Float32Array} logits [batch][classes], valid until the next call */
    forward: (images, training) =>
      layers.reduce((value, layer) => layer.forward(value, training), images),
    /** Leaves every parameter's gradient in place. */
    backward: (gradient) => {
      layers.reduceRight((value, layer) => layer.backward(value), gradient);
    },
  };
}
