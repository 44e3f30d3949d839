/**
 * The two inner loops that take nearly all the time of training a convolution, as WebAssembly with
 * 128-bit vectors: some ten times faster than plain JavaScript, and still the same bits everywhere
 * (WebAssembly has no fused multiply-add to choose or not to choose).
 *
 * A convolution of stride 1 over a zero-padded image needs no im2col: weight number k (channel, row,
 * column) reads the image at a fixed byte offset from the output pixel, so a table of offsets is all.
 */
import * as w from './wasm.js';

const TILE = 4;
const BYTES = 4;
const times = (count, make) => Array.from({ length: count }, (_, i) => make(i)).flat();

/**
 * forward(x, offsets, count, weights, y, yPlane, panels): one row of TILE output channels,
 * 8 pixels (a panel) at a time: y[j][p] = sum over k of weights[k][j] * x[offsets[k] + p].
 */
function forwardKernel() {
  const [x, offsets, count, weights, y, yPlane, panels] = [0, 1, 2, 3, 4, 5, 6];
  const [k, offset, weight, from, to] = [7, 8, 9, 10, 11];
  const [left, right, factor, sums] = [12, 13, 14, 15];
  const step = [
    ...w.set(from, w.add(w.get(x), w.loadInteger(w.get(offset)))),
    ...w.set(left, w.load(w.get(from))),
    ...w.set(right, w.load(w.get(from), 16)),
    ...times(TILE, (j) => [
      ...w.set(factor, w.loadSplat(w.get(weight), j * BYTES)),
      ...accumulate(sums + 2 * j, left, factor),
      ...accumulate(sums + 2 * j + 1, right, factor),
    ]),
    ...w.advance(weight, w.integer(TILE * BYTES)),
    ...w.advance(offset, w.integer(BYTES)),
  ];
  const panel = [
    ...times(2 * TILE, (i) => w.set(sums + i, w.zero())),
    ...w.set(offset, w.get(offsets)),
    ...w.set(weight, w.get(weights)),
    ...w.set(k, w.get(count)),
    ...w.countDown(k, step),
    ...w.set(to, w.get(y)),
    ...times(TILE, (j) => [
      ...w.store(w.get(to), w.get(sums + 2 * j)),
      ...w.store(w.get(to), w.get(sums + 2 * j + 1), 16),
      ...w.advance(to, w.get(yPlane)),
    ]),
    ...w.advance(x, w.integer(32)),
    ...w.advance(y, w.integer(32)),
  ];
  return { parameters: 7, integers: 5, vectors: 11, body: w.countDown(panels, panel) };
}

const accumulate = (sum, value, factor) =>
  w.set(sum, w.plus(w.get(sum), w.multiply(w.get(value), w.get(factor))));

/**
 * weightGradient(x0, x1, rowGap, dy, dyPlane, rows, quads, sums): for TILE output channels and two
 * weights, sums[2j + i] += dy[j] * x_i over an image, four partial sums each (one vector).
 * rowGap is what is left of an image row, in bytes, after `quads` vectors.
 */
function gradientKernel() {
  const [x0, x1, rowGap, dy, dyPlane, rows, quads, out] = [0, 1, 2, 3, 4, 5, 6, 7];
  const [q, from] = [8, 9];
  const [first, second, factor, sums] = [10, 11, 12, 13];
  const step = [
    ...w.set(first, w.load(w.get(x0))),
    ...w.set(second, w.load(w.get(x1))),
    ...w.set(from, w.get(dy)),
    ...times(TILE, (j) => [
      ...w.set(factor, w.load(w.get(from))),
      ...accumulate(sums + 2 * j, first, factor),
      ...accumulate(sums + 2 * j + 1, second, factor),
      ...w.advance(from, w.get(dyPlane)),
    ]),
    ...times(3, (i) => w.advance([x0, x1, dy][i], w.integer(16))),
  ];
  const row = [
    ...w.set(q, w.get(quads)),
    ...w.countDown(q, step),
    ...w.advance(x0, w.get(rowGap)),
    ...w.advance(x1, w.get(rowGap)),
  ];
  const body = [
    ...times(2 * TILE, (i) => w.set(sums + i, w.load(w.get(out), 16 * i))),
    ...w.countDown(rows, row),
    ...times(2 * TILE, (i) => w.store(w.get(out), w.get(sums + i), 16 * i)),
  ];
  return { parameters: 8, integers: 2, vectors: 11, body };
}

/**
 * @typedef {object} Engine
 * @property {(length: number) => Float32Array} floats memory the kernels can reach, zeroed
 * @property {(length: number) => Int32Array} integers
 * @property {(...addresses: number[]) => void} forward
 * @property {(...addresses: number[]) => void} weightGradient
 */

/**
 * Compiles the kernels over a memory of their own.
 * @param {number} megabytes
 * @returns {Engine}
 */
export function createEngine(megabytes) {
  const memory = new WebAssembly.Memory({ initial: megabytes * 16 });
  const kernels = { forward: forwardKernel(), weightGradient: gradientKernel() };
  const module = new WebAssembly.Module(w.assemble(kernels));
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  let used = 0;
  const take = (length) => {
    const start = used;
    used += Math.ceil((length * BYTES) / 64) * 64;
    return start;
  };
  return {
    floats: (length) => new Float32Array(memory.buffer, take(length), length),
    integers: (length) => new Int32Array(memory.buffer, take(length), length),
    forward: exports.forward,
    weightGradient: exports.weightGradient,
  };
}
