// @ts-check
/**
 * The demo model for TFLite: the network of demo/shapes.onnx, node by node, with the same weights.
 * TFLite has no batch normalisation, so each is folded into the convolution before it, as every
 * converter does; the sums are made in float64. Needs a build.
 *
 *   node scripts/demo-model/tflite.js [DIR]     writes shapes.tflite and manifest-tflite.json
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { encodeManifest } from './samples.js';

const root = dirname(dirname(import.meta.dirname));
const built = join(root, 'dist/agent');
/** @type {typeof import('../../agent/model/onnx/open.ts')} */
const { openOnnx } = await import(join(built, 'model/onnx/open.js'));
/** @type {typeof import('../../agent/model/onnx/graph.ts')} */
const onnx = await import(join(built, 'model/onnx/graph.js'));
/** @type {typeof import('../../agent/model/onnx/tensor.ts')} */
const { floatData } = await import(join(built, 'model/onnx/tensor.js'));
/** @type {typeof import('../../agent/model/tflite/open.ts')} */
const { writeTflite } = await import(join(built, 'model/tflite/open.js'));
/** @type {typeof import('../../agent/model/tflite/types.ts')} */
const { makeOperator, makeTensor } = await import(join(built, 'model/tflite/types.js'));

/** @typedef {{ index: number, shape: readonly number[] }} Value a tensor of the new graph, NHWC */
/** @typedef {{ dims: number[], values: Float32Array }} Weight */
/** @typedef {ReturnType<typeof openOnnx>['graph']['node'][number]} OnnxNode */

/** Of the operators used here: the first versions that take float32, which every runtime has. */
const ADD_VERSION = 1;

/** Collects the new graph; tensors are named after the ONNX values they stand for. */
class Graph {
  /** @type {ReturnType<typeof makeTensor>[]} */
  tensors = [];
  /** @type {ReturnType<typeof makeOperator>[]} */
  operators = [];

  /**
   * @param {string} name
   * @param {readonly number[]} shape
   * @returns {Value}
   */
  value(name, shape) {
    return { index: this.tensors.push(makeTensor({ name, type: 'FLOAT32', shape })) - 1, shape };
  }

  /**
   * @param {string} name
   * @param {readonly number[]} shape
   * @param {Float32Array | Int32Array} numbers
   * @returns {number}
   */
  constant(name, shape, numbers) {
    const type = numbers instanceof Float32Array ? 'FLOAT32' : 'INT32';
    const data = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
    return this.tensors.push(makeTensor({ name, type, shape, data })) - 1;
  }

  /** @param {Parameters<typeof makeOperator>[0]} fields */
  add(fields) {
    this.operators.push(makeOperator({ version: ADD_VERSION, ...fields }));
  }
}

/**
 * Weights and bias of a convolution with the normalisation behind it:
 * y = scale * (conv(x) - mean) / sqrt(variance + epsilon) + bias.
 *
 * @param {Weight} weight output channel first
 * @param {readonly Float32Array[]} norm scale, bias, mean, variance
 * @param {number} epsilon
 */
function folded({ dims, values }, [scale, bias, mean, variance], epsilon) {
  if (!scale || !bias || !mean || !variance) throw new Error('a normalisation lacks an input');
  const [channels = 0] = dims;
  const each = values.length / channels;
  const factors = Float64Array.from(scale, (s, c) => s / Math.sqrt((variance[c] ?? 0) + epsilon));
  return {
    weights: values.map((w, at) => w * (factors[Math.floor(at / each)] ?? 0)),
    bias: Float32Array.from(bias, (b, c) => b - (mean[c] ?? 0) * (factors[c] ?? 0)),
  };
}

/**
 * [O][I][H][W] to [O][H][W][I]; depthwise, where I is 1, to [1][H][W][O].
 *
 * @param {Float32Array} values
 * @param {readonly number[]} dims
 * @param {boolean} depthwise
 */
function channelsLast(values, [out = 0, input = 0, height = 0, width = 0], depthwise) {
  const area = height * width;
  const made = new Float32Array(values.length);
  for (let o = 0; o < out; o += 1)
    for (let i = 0; i < input; i += 1)
      for (let p = 0; p < area; p += 1) {
        const to = depthwise ? p * out + o : (o * area + p) * input + i;
        made[to] = values[(o * input + i) * area + p] ?? 0;
      }
  return made;
}

/**
 * @param {Uint8Array} bytes demo/shapes.onnx
 * @returns {Uint8Array} the same network as a .tflite file
 */
export function demoTflite(bytes) {
  const { graph: source } = openOnnx(bytes);
  const weights = new Map(
    source.initializer.map((one) => [
      one.name ?? '',
      { dims: one.dims.map(Number), values: floatData(one) },
    ]),
  );
  /** @param {OnnxNode} node @param {number} at */
  const weight = (node, at) => {
    const found = weights.get(node.input[at] ?? '');
    if (!found) throw new Error(`${node.name}: input ${at} is no constant`);
    return found;
  };
  const graph = new Graph();
  const [inputInfo] = source.input;
  const dims =
    inputInfo?.type?.tensorType?.shape?.dim.map(({ dimValue }) => Number(dimValue)) ?? [];
  const [batch = 1, channels = 1, height = 1, width = 1] = dims;
  const input = graph.value(inputInfo?.name ?? '', [batch, height, width, channels]);
  /** @type {Map<string, Value>} */
  const values = new Map([[inputInfo?.name ?? '', input]]);
  /** @param {string | undefined} name */
  const known = (name) => {
    const found = values.get(name ?? '');
    if (!found) throw new Error(`value ${name} is not computed yet`);
    return found;
  };

  const nodes = [...source.node];
  /** @param {string} op takes the next node if it is one of these */
  const follow = (op) => (nodes[0]?.opType === op ? nodes.shift() : undefined);
  for (let node = nodes.shift(); node; node = nodes.shift()) {
    const from = known(node.input[0]);
    if (node.opType === 'Conv') convolution(node, from);
    else if (node.opType === 'Add') sum(node, from);
    else if (node.opType === 'GlobalAveragePool') pool(node, from);
    else if (node.opType === 'Gemm') product(node, from);
    else throw new Error(`${node.opType} is not one of the demo model's`);
  }
  const output = known(source.output[0]?.name);
  return Buffer.concat([
    ...writeTflite({
      format: 'tflite',
      version: 3,
      description: 'edgefit demo model',
      subgraphs: [
        {
          name: 'main',
          tensors: graph.tensors,
          inputs: [input.index],
          outputs: [output.index],
          operators: graph.operators,
          debugMetadataIndex: -1,
        },
      ],
      signatures: [],
      metadata: [],
      metadataBuffers: [],
      externalBufferGroups: [],
      externalBuffers: [],
      constantsOutside: false,
      unusedBuffers: [],
      tail: null,
      unknown: [],
    }),
  ]);

  /** @param {OnnxNode} node @param {Value} from */
  function convolution(node, from) {
    const norm = follow('BatchNormalization');
    if (!norm) throw new Error(`${node.name} is not followed by a normalisation`);
    const relu = follow('Relu');
    const own = weight(node, 1);
    const parts = [1, 2, 3, 4].map((at) => weight(norm, at).values);
    const made = folded(own, parts, onnx.floatAttribute(norm, 'epsilon') ?? 0);
    const depthwise = (onnx.intAttribute(node, 'group') ?? 1) > 1;
    const [stride = 1] = onnx.intsAttribute(node, 'strides') ?? [];
    const [out = 0, perGroup = 0, kernel = 0] = own.dims;
    const [n = 1, rows = 0, columns = 0] = from.shape;
    const end = (relu ?? norm).output[0] ?? '';
    const to = graph.value(end, [n, rows / stride, columns / stride, out]);
    const shape = depthwise ? [1, kernel, kernel, out] : [out, kernel, kernel, perGroup];
    const matrix = channelsLast(made.weights, own.dims, depthwise);
    // SAME puts the odd row of a stride of 2 at the end, as the pads of the ONNX file do.
    const common = {
      padding: /** @type {const} */ ('SAME'),
      strideW: stride,
      strideH: stride,
      fusedActivationFunction: relu ? /** @type {const} */ ('RELU') : /** @type {const} */ ('NONE'),
      dilationWFactor: 1,
      dilationHFactor: 1,
    };
    graph.add({
      op: depthwise ? 'DEPTHWISE_CONV_2D' : 'CONV_2D',
      inputs: [
        from.index,
        graph.constant(node.input[1] ?? '', shape, matrix),
        graph.constant(`${node.name}.bias`, [out], made.bias),
      ],
      outputs: [to.index],
      options: depthwise
        ? { kind: 'DepthwiseConv2DOptions', depthMultiplier: 1, ...common }
        : { kind: 'Conv2DOptions', quantizedBiasType: 'FLOAT32', ...common },
    });
    values.set(end, to);
  }

  /** @param {OnnxNode} node @param {Value} from */
  function sum(node, from) {
    const relu = follow('Relu');
    const end = (relu ?? node).output[0] ?? '';
    const to = graph.value(end, from.shape);
    graph.add({
      op: 'ADD',
      inputs: [from.index, known(node.input[1]).index],
      outputs: [to.index],
      options: {
        kind: 'AddOptions',
        fusedActivationFunction: relu ? 'RELU' : 'NONE',
        potScaleInt16: true,
      },
    });
    values.set(end, to);
  }

  /** The mean over rows and columns; the Flatten behind it has nothing left to do. */
  function pool(/** @type {OnnxNode} */ node, /** @type {Value} */ from) {
    const flatten = follow('Flatten');
    const end = (flatten ?? node).output[0] ?? '';
    const to = graph.value(end, [from.shape[0] ?? 1, from.shape[3] ?? 1]);
    graph.add({
      op: 'MEAN',
      inputs: [from.index, graph.constant(`${node.name}.axes`, [2], Int32Array.of(1, 2))],
      outputs: [to.index],
      options: { kind: 'ReducerOptions', keepDims: false },
    });
    values.set(end, to);
  }

  /** @param {OnnxNode} node @param {Value} from */
  function product(node, from) {
    const [matrix, bias] = [weight(node, 1), weight(node, 2)];
    const end = node.output[0] ?? '';
    const to = graph.value(end, [from.shape[0] ?? 1, matrix.dims[0] ?? 1]);
    graph.add({
      op: 'FULLY_CONNECTED',
      inputs: [
        from.index,
        graph.constant(node.input[1] ?? '', matrix.dims, matrix.values.slice()),
        graph.constant(node.input[2] ?? '', bias.dims, bias.values.slice()),
      ],
      outputs: [to.index],
      options: {
        kind: 'FullyConnectedOptions',
        fusedActivationFunction: 'NONE',
        weightsFormat: 'DEFAULT',
        keepNumDims: false,
        asymmetricQuantizeInputs: false,
        quantizedBiasType: 'FLOAT32',
      },
    });
    values.set(end, to);
  }
}

if (process.argv[1] === import.meta.filename) {
  const folder = process.argv[2] ?? join(root, 'demo');
  const made = demoTflite(readFileSync(join(folder, 'shapes.onnx')));
  writeFileSync(join(folder, 'shapes.tflite'), made);
  writeFileSync(join(folder, 'manifest-tflite.json'), encodeManifest('tflite'));
}
