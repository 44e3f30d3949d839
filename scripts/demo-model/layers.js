/**
 * Residual sum and head. Together with norm.js and depthwise.js these are the cheap layers, in plain
 * JavaScript. Each has forward(x) and backward(dy) over dense [sample][channel][row][column]
 * floats, and owns the buffers it returns. A backward may overwrite its dy: nobody reads it again.
 */

import { parameter } from './planes.js';

/** relu(x + body(x)) */
export function createResidual(engine, { batch, channels, size }, body) {
  const y = engine.floats(batch * channels * size * size);
  const skip = engine.floats(y.length);
  return {
    body,
    parameters: body.flatMap((layer) => layer.parameters),
    forward(x, training) {
      const z = body.reduce((value, layer) => layer.forward(value, training), x);
      for (let i = 0; i < y.length; i += 1) y[i] = Math.max(0, x[i] + z[i]);
      return y;
    },
    backward(dy) {
      for (let i = 0; i < y.length; i += 1) if (y[i] <= 0) dy[i] = 0;
      skip.set(dy);
      const dx = body.reduceRight((value, layer) => layer.backward(value), dy);
      for (let i = 0; i < y.length; i += 1) dx[i] += skip[i];
      return dx;
    },
  };
}

/** Global average pooling and a fully connected layer: the logits. */
export function createHead(engine, { batch, channels, size, classes }, weights) {
  const plane = size * size;
  const bias = parameter(classes, 0);
  const matrix = { value: weights, gradient: new Float32Array(weights.length) };
  const pooled = new Float32Array(batch * channels);
  const logits = new Float32Array(batch * classes);
  const dx = engine.floats(batch * channels * plane);
  return {
    parameters: [matrix, bias],
    forward(x) {
      for (let i = 0; i < pooled.length; i += 1) {
        let sum = 0;
        for (let p = i * plane; p < (i + 1) * plane; p += 1) sum += x[p];
        pooled[i] = sum / plane;
      }
      for (let n = 0; n < batch; n += 1)
        for (let k = 0; k < classes; k += 1) {
          let sum = bias.value[k];
          for (let c = 0; c < channels; c += 1)
            sum += weights[k * channels + c] * pooled[n * channels + c];
          logits[n * classes + k] = sum;
        }
      return logits;
    },
    backward(dy) {
      bias.gradient.fill(0);
      matrix.gradient.fill(0);
      for (let n = 0; n < batch; n += 1)
        for (let k = 0; k < classes; k += 1) {
          const d = dy[n * classes + k];
          bias.gradient[k] += d;
          for (let c = 0; c < channels; c += 1)
            matrix.gradient[k * channels + c] += d * pooled[n * channels + c];
        }
      for (let i = 0; i < pooled.length; i += 1) {
        const n = Math.floor(i / channels);
        let sum = 0;
        for (let k = 0; k < classes; k += 1)
          sum += dy[n * classes + k] * weights[k * channels + (i % channels)];
        dx.fill(sum / plane, i * plane, (i + 1) * plane);
      }
      return dx;
    },
  };
}
