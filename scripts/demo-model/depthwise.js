import { eachPlane } from './planes.js';

/**
 * Depthwise 3x3. Stride 1 pads one pixel all round; stride 2 pads one pixel below and to the right,
 * which is what both ONNX SAME_UPPER and TFLite SAME mean for an even size.
 * @param {{ batch: number, channels: number, size: number, stride: 1 | 2 }} shape size of the input
 */
export function createDepthwise(engine, { batch, channels, size, stride }, weights) {
  const out = size / stride;
  const row = size + 2;
  const skip = stride === 1 ? 0 : row + 1;
  const padded = new Float64Array(row * row);
  const dPadded = new Float64Array(row * row);
  const taps = Int32Array.from({ length: 9 }, (_, k) => skip + Math.floor(k / 3) * row + (k % 3));
  const gradient = new Float32Array(weights.length);
  const y = engine.floats(batch * channels * out * out);
  const dx = engine.floats(batch * channels * size * size);
  let x;
  const pad = (start) => {
    for (let r = 0; r < size; r += 1)
      for (let c = 0; c < size; c += 1) padded[(r + 1) * row + c + 1] = x[start + r * size + c];
  };
  const unpad = (start) => {
    for (let r = 0; r < size; r += 1)
      for (let c = 0; c < size; c += 1) dx[start + r * size + c] = dPadded[(r + 1) * row + c + 1];
  };
  /** Visits (output index in the plane, its corner in the padded plane). */
  const eachOutput = (visit) => {
    for (let r = 0; r < out; r += 1)
      for (let c = 0; c < out; c += 1) visit(r * out + c, r * stride * row + c * stride);
  };
  const input = { batch, channels, size };
  return {
    parameters: [{ value: weights, gradient }],
    forward(images) {
      x = images;
      eachPlane(input, (start, end, c) => {
        pad(start);
        const to = (start / (size * size)) * out * out;
        eachOutput((i, corner) => {
          let sum = 0;
          for (let k = 0; k < 9; k += 1) sum += weights[c * 9 + k] * padded[corner + taps[k]];
          y[to + i] = sum;
        });
      });
      return y;
    },
    backward(dy) {
      gradient.fill(0);
      eachPlane(input, (start, end, c) => {
        pad(start);
        dPadded.fill(0);
        const from = (start / (size * size)) * out * out;
        const sums = new Float64Array(9);
        eachOutput((i, corner) => {
          const d = dy[from + i];
          for (let k = 0; k < 9; k += 1) {
            sums[k] += d * padded[corner + taps[k]];
            dPadded[corner + taps[k]] += d * weights[c * 9 + k];
          }
        });
        for (let k = 0; k < 9; k += 1) gradient[c * 9 + k] += sums[k];
        unpad(start);
      });
      return dx;
    },
  };
}
