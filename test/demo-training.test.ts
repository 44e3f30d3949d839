import { describe, expect, test } from '@jest/globals';
import { createConv, type ConvShape } from '../scripts/demo-model/conv.js';
import { drawSample } from '../scripts/demo-model/draw.js';
import { createEngine } from '../scripts/demo-model/kernels.js';

const MEMORY_MB = 4;

/** Numbers without a pattern that a kernel could get right by accident. */
const numbers = (length: number, seed: number) =>
  Float32Array.from({ length }, (_, i) => (((i + seed) * 7919) % 101) / 101 - 0.5);

/** The definition of a convolution and of its two gradients, one multiplication at a time. */
function reference(
  shape: ConvShape,
  weights: Float32Array,
  x: Float32Array,
  dy: Float32Array,
): { y: Float64Array; dw: Float64Array; dx: Float64Array } {
  const { input, out, kernel, size, batch } = shape;
  const border = (kernel - 1) / 2;
  const y = new Float64Array(dy.length);
  const dw = new Float64Array(weights.length);
  const dx = new Float64Array(x.length);
  const pixels = size * size;
  for (let i = 0; i < batch * out * pixels * input * kernel * kernel; i += 1) {
    const k = i % (kernel * kernel);
    const channel = Math.floor(i / (kernel * kernel)) % input;
    const to = Math.floor(i / (kernel * kernel * input));
    const plane = Math.floor(to / pixels);
    const row = Math.floor((to % pixels) / size) + Math.floor(k / kernel) - border;
    const column = (to % size) + (k % kernel) - border;
    if (row < 0 || column < 0 || row >= size || column >= size) continue;
    const from = (Math.floor(plane / out) * input + channel) * pixels + row * size + column;
    const weight = ((plane % out) * input + channel) * kernel * kernel + k;
    y[to]! += weights[weight]! * x[from]!;
    dw[weight]! += dy[to]! * x[from]!;
    dx[from]! += dy[to]! * weights[weight]!;
  }
  return { y, dw, dx };
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));
}

describe('WebAssembly convolution', () => {
  test.each<ConvShape>([
    { input: 8, out: 4, kernel: 3, size: 8, batch: 2 },
    { input: 4, out: 12, kernel: 3, size: 16, batch: 1 },
    { input: 8, out: 8, kernel: 1, size: 8, batch: 2 },
    { input: 4, out: 8, kernel: 1, size: 4, batch: 1 },
  ])('follows the definition: %j', (shape) => {
    const engine = createEngine(MEMORY_MB);
    const weights = numbers(shape.out * shape.input * shape.kernel ** 2, 1);
    const x = engine.floats(shape.batch * shape.input * shape.size ** 2);
    const dy = engine.floats(shape.batch * shape.out * shape.size ** 2);
    x.set(numbers(x.length, 2));
    dy.set(numbers(dy.length, 3));
    const expected = reference(shape, weights, x, dy);
    const conv = createConv(engine, shape, weights);
    expect(largestDifference(expected.y, conv.forward(x))).toBeLessThan(1e-5);
    expect(largestDifference(expected.dx, conv.backward(dy) ?? [])).toBeLessThan(1e-5);
    expect(largestDifference(expected.dw, conv.parameters[0]!.gradient)).toBeLessThan(1e-4);
  });
});

describe('drawing', () => {
  test('depends on the seed and the index alone', () => {
    expect(drawSample(1, 7)).toEqual(drawSample(1, 7));
    expect(drawSample(1, 7).pixels).not.toEqual(drawSample(2, 7).pixels);
    expect(drawSample(1, 7).pixels).not.toEqual(drawSample(1, 17).pixels);
  });

  test('uses the sixteen grey levels of a 4-bit camera', () => {
    expect([...drawSample(3, 0).pixels].every((pixel) => pixel % 17 === 0)).toBe(true);
  });
});
