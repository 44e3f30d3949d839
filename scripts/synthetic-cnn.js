// @ts-check
// Writes a package around a convolutional network of over 4 MB with made-up weights, and pictures for
// it: what can only be shown on a large model can be shown anywhere.
//
//   node scripts/synthetic-cnn.js DIR [--seed N] [--samples N]
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { encodeNpz, npy } from './demo-model/npz.js';
import { encodeOnnx } from './demo-model/onnx-file.js';
import { bell, between, randomSource, seedOf } from './demo-model/random.js';

const SIZE = 48;
const CLASSES = 100;
const EVALUATION_SAMPLES = 50;
/** Output channels and stride of each block: a depthwise and a full convolution, then a residual sum. */
const BLOCKS = [
  { channels: 64, stride: 2 },
  { channels: 128, stride: 2 },
  { channels: 256, stride: 2 },
  { channels: 256, stride: 1 },
];

/** @typedef {import('./demo-model/onnx-file.js').OnnxNode} OnnxNode */
/** @typedef {import('./demo-model/onnx-file.js').OnnxTensor} OnnxTensor */

/** Collects nodes and weights; every value is normal with the deviation that keeps a signal's power (He). */
class Network {
  /** @type {OnnxNode[]} */
  nodes = [];
  /** @type {OnnxTensor[]} */
  tensors = [];
  /** @param {() => number} random */
  constructor(random) {
    this.random = random;
  }

  /** @param {string} name @param {readonly number[]} dims @param {number} deviation */
  weight(name, dims, deviation) {
    const count = dims.reduce((product, size) => product * size, 1);
    const values = Float32Array.from({ length: count }, () => bell(this.random) * deviation);
    this.tensors.push({ name, dims: [...dims], values });
    return name;
  }

  /**
   * @param {string} op
   * @param {readonly string[]} inputs
   * @param {Record<string, number | number[]>} attributes
   */
  add(op, inputs, attributes = {}) {
    const name = `${op.toLowerCase()}_${this.nodes.length}`;
    this.nodes.push({ op, name, inputs: [...inputs], outputs: [name], attributes });
    return name;
  }

  /** 3x3, padded, then Relu. @param {string} x @param {{ from: number, to: number, stride?: number, group?: number }} shape */
  conv(x, { from, to, stride = 1, group = 1 }) {
    const [id, fan] = [this.nodes.length, (from / group) * 9];
    const w = this.weight(`w${id}`, [to, from / group, 3, 3], Math.sqrt(2 / fan));
    const b = this.weight(`b${id}`, [to], 0.05);
    const geometry = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [stride, stride] };
    return this.add('Relu', [this.add('Conv', [x, w, b], { ...geometry, group })]);
  }
}

/** @param {number} seed @returns {Buffer} */
export function encodeNetwork(seed) {
  const net = new Network(randomSource(seed));
  let [x, from] = [net.conv('image', { from: 3, to: 32 }), 32];
  for (const { channels, stride } of BLOCKS) {
    const reduced = net.conv(x, { from, to: channels, stride });
    const depthwise = net.conv(reduced, { from: channels, to: channels, group: channels });
    x = net.add('Add', [net.conv(depthwise, { from: channels, to: channels }), reduced]);
    from = channels;
  }
  const flat = net.add('Flatten', [net.add('GlobalAveragePool', [x])]);
  const w = net.weight('dense_w', [from, CLASSES], Math.sqrt(1 / from));
  const b = net.weight('dense_b', [CLASSES], 0.1);
  const last = net.nodes.push({
    op: 'Gemm',
    name: 'dense',
    inputs: [flat, w, b],
    outputs: ['scores'],
    attributes: {},
  });
  return encodeOnnx({
    name: `synthetic-cnn-${last}`,
    nodes: net.nodes,
    tensors: net.tensors,
    input: { name: 'image', dims: [1, 3, SIZE, SIZE] },
    output: { name: 'scores', dims: [1, CLASSES] },
  });
}

/** Smooth pictures: waves of random direction and colour. @param {number} seed @param {number} count */
export function drawPictures(seed, count) {
  const pixels = Buffer.alloc(count * SIZE * SIZE * 3);
  for (let n = 0, at = 0; n < count; n++) {
    const random = randomSource(seedOf(seed, n));
    const waves = [0, 1, 2].map(() => [0, 1].map(() => between(random, -0.4, 0.4)));
    const light = between(random, 60, 190);
    for (let y = 0; y < SIZE; y++) {
      for (let x = 0; x < SIZE; x++) {
        for (const [dx = 0, dy = 0] of waves) {
          pixels[at++] = light + 50 * Math.sin(dx * x + dy * y) + between(random, -8, 8);
        }
      }
    }
  }
  return pixels;
}

/**
 * Writes the package into a folder and returns the manifest's path.
 * @param {string} folder
 * @param {{ seed?: number, samples?: number }} options `samples`: how many calibrate
 */
export function writeSyntheticCnn(folder, { seed = 1, samples = 100 } = {}) {
  mkdirSync(folder, { recursive: true });
  const count = samples + EVALUATION_SAMPLES;
  const array = npy('|u1', [count, SIZE, SIZE, 3], drawPictures(seed, count));
  writeFileSync(join(folder, 'synthetic-cnn.onnx'), encodeNetwork(seed));
  writeFileSync(join(folder, 'samples.npz'), encodeNpz({ image: array }));
  const size = { width: SIZE, height: SIZE };
  const image = { ...size, color: 'rgb', layout: 'nchw', mean: [128, 128, 128], std: [64, 64, 64] };
  const manifest = {
    schema: 'edgefit/model/1',
    name: 'synthetic-cnn',
    model: 'synthetic-cnn.onnx',
    inputs: { image: { image } },
    task: { kind: 'none', output: 'scores' },
    samples: {
      calibration: { path: 'samples.npz', from: 0, to: samples },
      evaluation: { path: 'samples.npz', from: samples, to: count },
    },
  };
  const path = join(folder, 'synthetic-cnn.json');
  writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`);
  return path;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values, positionals } = parseArgs({
    options: /** @type {const} */ ({ seed: { type: 'string' }, samples: { type: 'string' } }),
    allowPositionals: true,
  });
  const [folder] = positionals;
  if (folder === undefined) {
    console.error('usage: node scripts/synthetic-cnn.js DIR [--seed N] [--samples N]');
    process.exit(2);
  }
  const { seed, samples } = values;
  console.log(
    writeSyntheticCnn(folder, {
      ...(seed === undefined ? {} : { seed: Number(seed) }),
      ...(samples === undefined ? {} : { samples: Number(samples) }),
    }),
  );
}
