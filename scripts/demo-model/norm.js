import { eachPlane, parameter } from './planes.js';

/** Also the epsilon of the exported node. */
export const EPSILON = 1e-5;
const MOMENTUM = 0.95;

/** Mean and variance of every channel. */
function momentsOf(x, shape) {
  const sum = new Float64Array(shape.channels);
  const squares = new Float64Array(shape.channels);
  eachPlane(shape, (start, end, c) => {
    let s = 0;
    let q = 0;
    for (let i = start; i < end; i += 1) {
      s += x[i];
      q += x[i] * x[i];
    }
    sum[c] += s;
    squares[c] += q;
  });
  const count = shape.batch * shape.size * shape.size;
  const mean = sum.map((s) => s / count);
  return { mean, variance: squares.map((q, c) => Math.max(0, q / count - mean[c] * mean[c])) };
}

function normalise(x, y, shape, { mean, variance }, gamma, beta, floor) {
  eachPlane(shape, (start, end, c) => {
    const scale = gamma[c] / Math.sqrt(variance[c] + EPSILON);
    const shift = beta[c] - mean[c] * scale;
    for (let i = start; i < end; i += 1) y[i] = Math.max(floor, x[i] * scale + shift);
  });
}

/** Batch normalisation, with or without the Relu behind it. In training it uses the batch's moments. */
export function createNorm(engine, shape, relu) {
  const { batch, channels, size } = shape;
  const gamma = parameter(channels, 1);
  const beta = parameter(channels, 0);
  const running = {
    mean: new Float32Array(channels),
    variance: new Float32Array(channels).fill(1),
  };
  const y = engine.floats(batch * channels * size * size);
  let x;
  let moments;
  const remember = (kept, fresh) => {
    for (let c = 0; c < channels; c += 1) kept[c] += (fresh[c] - kept[c]) * (1 - MOMENTUM);
  };
  return {
    parameters: [gamma, beta],
    running,
    forward(input, training) {
      x = input;
      moments = training ? momentsOf(x, shape) : running;
      if (training) {
        remember(running.mean, moments.mean);
        remember(running.variance, moments.variance);
      }
      normalise(x, y, shape, moments, gamma.value, beta.value, relu ? 0 : -Infinity);
      return y;
    },
    /** dx = gamma / deviation * (dy - mean(dy) - xhat * mean(dy * xhat)) */
    backward(dy) {
      const inverse = moments.variance.map((v) => 1 / Math.sqrt(v + EPSILON));
      const sum = new Float64Array(channels);
      const product = new Float64Array(channels);
      eachPlane(shape, (start, end, c) => {
        let s = 0;
        let p = 0;
        for (let i = start; i < end; i += 1) {
          if (relu && y[i] <= 0) dy[i] = 0;
          s += dy[i];
          p += dy[i] * (x[i] - moments.mean[c]);
        }
        sum[c] += s;
        product[c] += p * inverse[c];
      });
      gamma.gradient.set(product);
      beta.gradient.set(sum);
      const count = batch * size * size;
      eachPlane(shape, (start, end, c) => {
        const scale = gamma.value[c] * inverse[c];
        const slope = (product[c] / count) * inverse[c];
        const shift = sum[c] / count - moments.mean[c] * slope;
        for (let i = start; i < end; i += 1) dy[i] = scale * (dy[i] - shift - x[i] * slope);
      });
      return dy;
    },
  };
}
