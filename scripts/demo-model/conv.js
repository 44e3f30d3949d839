/**
 * Convolutions of stride 1 on the WebAssembly kernels: 3x3 with one pixel of padding, or 1x1.
 * Images are dense [sample][channel][row][column] floats. Channels out must divide by 4, the width by 8
 * (1x1: the whole plane by 8, since it is walked as one long row).
 */

const TILE = 4;

/** Byte offsets of the weights (channel, row, column) from the output pixel in a padded image. */
function offsetTable(engine, channels, kernel, plane, row) {
  const offsets = [];
  for (let c = 0; c < channels; c += 1)
    for (let ky = 0; ky < kernel; ky += 1)
      for (let kx = 0; kx < kernel; kx += 1) offsets.push(4 * (c * plane + ky * row + kx));
  const table = engine.integers(offsets.length);
  table.set(offsets);
  return table;
}

/** Copies an image into the middle of a padded one, whose border stays zero. */
function padInto(padded, image, channels, size, border) {
  const row = size + 2 * border;
  for (let c = 0; c < channels; c += 1)
    for (let y = 0; y < size; y += 1) {
      const from = (c * size + y) * size;
      padded.set(image.subarray(from, from + size), (c * row + y + border) * row + border);
    }
}

/** Weights [out][k] into [out / 4][k][4], the order in which the kernel reads them. */
function packTiles(packed, weights, out, count) {
  for (let o = 0; o < out; o += 1)
    for (let k = 0; k < count; k += 1)
      packed[(o - (o % TILE)) * count + k * TILE + (o % TILE)] = weights[o * count + k];
}

/** The weights of the backward convolution: channels swapped, kernel turned by half a turn. */
function turnWeights(turned, weights, out, input, area) {
  for (let o = 0; o < out; o += 1)
    for (let i = 0; i < input; i += 1)
      for (let k = 0; k < area; k += 1)
        turned[(i * out + o) * area + k] = weights[(o * input + i) * area + area - 1 - k];
}

/** One direction of a convolution: `input` to `out` channels, reading through a padded copy. */
function createPass(engine, { input, out, kernel, size }) {
  const border = (kernel - 1) / 2;
  const row = size + 2 * border;
  const count = input * kernel * kernel;
  const [lines, width] = kernel === 1 ? [1, size * size] : [size, size];
  const padded = engine.floats(input * row * row);
  const packed = engine.floats(out * count);
  const offsets = offsetTable(engine, input, kernel, row * row, row);
  return {
    padded,
    offsets,
    row,
    pack: (weights) => packTiles(packed, weights, out, count),
    load: (image) => padInto(padded, image, input, size, border),
    run(y) {
      for (let line = 0; line < lines; line += 1)
        for (let o = 0; o < out; o += TILE)
          engine.forward(
            padded.byteOffset + 4 * line * row,
            offsets.byteOffset,
            count,
            packed.byteOffset + 4 * o * count,
            y.byteOffset + 4 * (o * size + line) * size,
            4 * size * size,
            width / 8,
          );
    },
  };
}

/** Sums of dy * x for every weight, kept as four partial sums until a batch is done. */
function createWeightGradient(engine, pass, { out, size }) {
  const { padded, offsets, row } = pass;
  const pairs = Math.ceil(offsets.length / 2);
  const partial = engine.floats((out / TILE) * pairs * 2 * TILE * 4);
  const at = (k) => padded.byteOffset + offsets[Math.min(k, offsets.length - 1)];
  const add = (dy) => {
    for (let tile = 0; tile < out / TILE; tile += 1)
      for (let pair = 0; pair < pairs; pair += 1)
        engine.weightGradient(
          at(2 * pair),
          at(2 * pair + 1),
          4 * (row - size),
          dy.byteOffset + 4 * tile * TILE * size * size,
          4 * size * size,
          size,
          size / 4,
          partial.byteOffset + 4 * (tile * pairs + pair) * 2 * TILE * 4,
        );
  };
  const collect = (gradient) => {
    for (let o = 0; o < out; o += 1)
      for (let k = 0; k < offsets.length; k += 1) {
        const tile = (o - (o % TILE)) / TILE;
        const p = (((tile * pairs + (k >> 1)) * TILE + (o % TILE)) * 2 + (k & 1)) * 4;
        gradient[o * offsets.length + k] =
          partial[p] + partial[p + 1] + partial[p + 2] + partial[p + 3];
      }
  };
  return { add, collect, clear: () => partial.fill(0) };
}

/**
 * @param {import('./kernels.js').Engine} engine
 * @param {{ input: number, out: number, kernel: 1 | 3, size: number, batch: number }} shape
 * @param {Float32Array} weights [out][input][kernel][kernel]
 */
export function createConv(engine, shape, weights) {
  const { input, out, kernel, size, batch } = shape;
  const first = input < TILE;
  const forwards = createPass(engine, shape);
  const backwards = first ? null : createPass(engine, { input: out, out: input, kernel, size });
  const sums = createWeightGradient(engine, forwards, shape);
  const turned = new Float32Array(weights.length);
  const gradient = new Float32Array(weights.length);
  const y = engine.floats(batch * out * size * size);
  const dx = first ? null : engine.floats(batch * input * size * size);
  const each = (buffer, channels, n) => {
    const length = channels * size * size;
    return buffer.subarray(n * length, (n + 1) * length);
  };
  let x;
  return {
    parameters: [{ value: weights, gradient }],
    forward(images) {
      x = images;
      forwards.pack(weights);
      for (let n = 0; n < batch; n += 1) {
        forwards.load(each(images, input, n));
        forwards.run(each(y, out, n));
      }
      return y;
    },
    /** The first layer of a network returns null: nobody needs the gradient of the picture. */
    backward(dy) {
      sums.clear();
      turnWeights(turned, weights, out, input, kernel * kernel);
      backwards?.pack(turned);
      for (let n = 0; n < batch; n += 1) {
        forwards.load(each(x, input, n));
        sums.add(each(dy, out, n));
        backwards?.load(each(dy, out, n));
        backwards?.run(each(dx, input, n));
      }
      sums.collect(gradient);
      return dx;
    },
  };
}
