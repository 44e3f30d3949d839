/** The trained network as an ONNX graph. Batch normalisation stays a node of its own. */
import { CLASSES, SIZE } from './draw.js';
import { STEPS } from './network.js';
import { EPSILON } from './norm.js';
import { encodeOnnx } from './onnx-file.js';

export const INPUT = 'image';
export const OUTPUT = 'logits';

/** Collects nodes and weights while walking the steps and the layers side by side. */
function createGraph() {
  const nodes = [];
  const tensors = [];
  const weight = (name, dims, values) => {
    tensors.push({ name, dims, values });
    return name;
  };
  const add = (op, name, inputs, attributes = {}, outputs = [name]) => {
    nodes.push({ op, name, inputs, outputs, attributes });
    return outputs[0];
  };
  return { nodes, tensors, weight, add };
}

function addConv(graph, name, from, dims, layer, { group = 1, stride = 1 } = {}) {
  const [, , kernel] = dims;
  const border = (kernel - 1) / 2;
  const pads = stride === 2 ? [0, 0, border, border] : [border, border, border, border];
  const weights = graph.weight(`${name}.weight`, dims, layer.parameters[0].value);
  const shape = { kernel_shape: [kernel, kernel], strides: [stride, stride], pads, group };
  return graph.add('Conv', name, [from, weights], { dilations: [1, 1], ...shape });
}

function addNorm(graph, name, from, layer) {
  const [gamma, beta] = layer.parameters;
  const part = (suffix, values) => graph.weight(`${name}.${suffix}`, [values.length], values);
  const inputs = [
    from,
    part('scale', gamma.value),
    part('bias', beta.value),
    part('mean', layer.running.mean),
    part('variance', layer.running.variance),
  ];
  return graph.add('BatchNormalization', name, inputs, { epsilon: EPSILON });
}

/** Adds one step; takes its layers from the front of `layers`. Returns the output and its channels. */
function addStep(graph, step, name, { from, channels }, layers) {
  if (step.op === 'residual') {
    const inner = layers.shift().body.slice();
    const end = step.body.reduce(
      (state, part, i) => addStep(graph, part, `${name}.${i}`, state, inner),
      { from, channels },
    );
    const sum = graph.add('Add', `${name}.add`, [from, end.from]);
    return { channels, from: graph.add('Relu', `${name}.relu`, [sum]) };
  }
  const depthwise = step.op === 'depthwise';
  const out = depthwise ? channels : step.out;
  const dims = depthwise ? [channels, 1, 3, 3] : [out, channels, step.kernel, step.kernel];
  const options = depthwise ? { group: channels, stride: step.stride } : {};
  const conv = addConv(graph, `${name}.conv`, from, dims, layers.shift(), options);
  const norm = addNorm(graph, `${name}.norm`, conv, layers.shift());
  const relu = depthwise || step.relu;
  return { channels: out, from: relu ? graph.add('Relu', `${name}.relu`, [norm]) : norm };
}

/**
 * @param {ReturnType<import('./network.js').createNetwork>} network
 * @returns {Buffer} an ONNX file: image [1,1,SIZE,SIZE] in, logits [1,CLASSES] out
 */
export function exportOnnx(network) {
  const graph = createGraph();
  const layers = network.layers.slice();
  const { from, channels } = STEPS.reduce(
    (state, step, i) => addStep(graph, step, `step${i}`, state, layers),
    { from: INPUT, channels: 1 },
  );
  const [matrix, bias] = layers.shift().parameters;
  const pooled = graph.add('GlobalAveragePool', 'pool', [from]);
  const flat = graph.add('Flatten', 'flatten', [pooled], { axis: 1 });
  const inputs = [
    flat,
    graph.weight('head.weight', [CLASSES, channels], matrix.value),
    graph.weight('head.bias', [CLASSES], bias.value),
  ];
  graph.add('Gemm', 'head', inputs, { transB: 1 }, [OUTPUT]);
  return encodeOnnx({
    name: 'shapes',
    nodes: graph.nodes,
    tensors: graph.tensors,
    input: { name: INPUT, dims: [1, 1, SIZE, SIZE] },
    output: { name: OUTPUT, dims: [1, CLASSES] },
  });
}
