import { describe, expect, test } from '@jest/globals';
import { forTensorRt } from '../../../agent/contracts/scheme.ts';
import { makeNode, nodeLabel, opName } from '../../../agent/model/onnx/graph.ts';
import type { OnnxModel } from '../../../agent/model/onnx/open.ts';
import { DataType, floatData, floatTensor } from '../../../agent/model/onnx/tensor.ts';
import { isQuantized } from '../../../agent/quantize/onnx/recognize.ts';
import { quantizeStatic } from '../../../agent/quantize/onnx/static.ts';
import { tinyModel } from '../../support/onnx-models.ts';
import {
  STATIC,
  floats,
  observe,
  randomTensor,
  randomValues,
  randoms,
  ranges,
  run,
  sqnr,
  weights,
} from '../support.ts';

const SCHEME = forTensorRt({ ...STATIC, reduceRange: true });

/** x -> Conv -> Relu -> Conv -> + (the Relu's output) -> GlobalAveragePool -> Softmax */
function residual(): OnnxModel {
  const next = randoms(7);
  return tinyModel({
    inputs: { x: [DataType.FLOAT, [1, 2, 4, 4]] },
    outputs: { y: [DataType.FLOAT, [1, 3, 1, 1]] },
    initializers: [
      weights('w', [3, 2, 1, 1], randomValues(next, 6)),
      weights('v', [3, 3, 1, 1], randomValues(next, 9)),
      weights('b', [3], [0.1, -0.2, 0.3]),
    ],
    nodes: [
      makeNode('Conv', ['x', 'w', 'b'], ['c']),
      makeNode('Relu', ['c'], ['r']),
      makeNode('Conv', ['r', 'v'], ['d']),
      makeNode('Add', ['d', 'r'], ['a']),
      makeNode('GlobalAveragePool', ['a'], ['g']),
      makeNode('Softmax', ['g'], ['y'], { attributes: { axis: 1n } }),
    ],
  });
}

const seen = ranges({ x: [-1, 2.54], c: [-1, 1], r: [0, 1.27], d: [-1, 1], a: [0, 2], g: [0, 2] });

describe('quantizeStatic for TensorRT', () => {
  const { model, ops } = quantizeStatic(residual(), seen, SCHEME);
  const { graph } = model;
  const producers = new Map(graph.node.flatMap((node) => node.output.map((o) => [o, node])));
  const constants = new Map(graph.initializer.map((one) => [one.name ?? '', one]));
  const behind = (name: string) => {
    const dequantize = producers.get(name);
    const quantize = producers.get(dequantize?.input[0] ?? '');
    const scale = constants.get(quantize?.input[1] ?? '');
    const zero = constants.get(quantize?.input[2] ?? '');
    return { dequantize, quantize, scale, zero };
  };
  const nodeOf = (output: string) => graph.node.find((node) => node.output.includes(output));

  test('activations are symmetric: the largest magnitude over 127, and zero points of 0', () => {
    const { quantize, dequantize, scale, zero } = behind(nodeOf('c')?.input[0] ?? '');
    expect([quantize, dequantize].map((node) => node && opName(node))).toEqual([
      'QuantizeLinear',
      'DequantizeLinear',
    ]);
    expect(quantize?.input[0]).toBe('x');
    // 2.54 / 127
    expect(floatData(scale!)[0]).toBeCloseTo(0.02, 7);
    expect(zero?.dataType).toBe(DataType.INT8);
    expect(graph.initializer.filter(({ dataType }) => dataType === DataType.INT32)).toEqual([]);
  });

  test('weights are float, with a scale per output channel; biases are left alone', () => {
    const conv = nodeOf('c');
    const { quantize, scale, zero } = behind(conv?.input[1] ?? '');
    const grid = constants.get(quantize?.input[0] ?? '');
    expect(grid?.dataType).toBe(DataType.FLOAT);
    expect(scale?.dims).toEqual([3]);
    expect(zero?.dims).toEqual([3]);
    expect(quantize?.attribute.find(({ name }) => name === 'axis')?.i).toBe(0n);
    const scales = floatData(scale!);
    // Every stored weight is a whole number of steps, and the largest of each channel is 127 of them.
    const steps = floatData(grid!).map((value, at) => value / scales[Math.floor(at / 2)]!);
    for (const step of steps) expect(Math.abs(step - Math.round(step))).toBeLessThan(1e-4);
    for (let channel = 0; channel < 3; channel++) {
      const own = steps.slice(channel * 2, channel * 2 + 2).map(Math.abs);
      expect(Math.round(Math.max(...own))).toBe(127);
    }
    expect(floatData(constants.get(conv?.input[2] ?? '')!)).toEqual(
      Float32Array.of(0.1, -0.2, 0.3),
    );
  });

  test('nothing stands between a convolution, its activation and the addition behind it', () => {
    expect(nodeOf('r')?.input).toEqual(['c']);
    const add = nodeOf('a');
    // The branch that skips the layer is quantized, the other one is added inside the convolution.
    expect(add?.input[0]).toBe('d');
    expect(behind(add?.input[1] ?? '').quantize?.input[0]).toBe('r');
  });

  test('every reader has a pair of its own', () => {
    const readers = new Map<string, number>();
    for (const node of graph.node) {
      for (const name of node.input) readers.set(name, (readers.get(name) ?? 0) + 1);
    }
    for (const node of graph.node.filter((one) => opName(one).endsWith('tizeLinear'))) {
      expect([nodeLabel(node), readers.get(node.output[0] ?? '')]).toEqual([nodeLabel(node), 1]);
    }
  });

  test('says of every operation what became of it', () => {
    expect(ops.map(({ op, precision }) => `${op} ${precision}`)).toEqual([
      'Conv integer',
      'Relu integer',
      'Conv integer',
      'Add integer',
      'GlobalAveragePool integer',
      'Softmax float',
    ]);
    expect(isQuantized(model)).toBe(true);
  });

  test('computes nearly what the float model does', async () => {
    const float = residual();
    const next = randoms(3);
    const samples = Array.from({ length: 8 }, () => ({ x: randomTensor(next, [1, 2, 4, 4]) }));
    const { model: made } = quantizeStatic(float, await observe(float, samples), SCHEME);
    const [sample] = samples;
    const expected = floats((await run(float, sample!))['y']?.data);
    expect(sqnr(expected, floats((await run(made, sample!))['y']?.data))).toBeGreaterThan(35);
  });
});

describe('what is left alone', () => {
  test('an excluded layer, and weights that are computed', () => {
    const scheme = { ...SCHEME, excluded: ['c'] };
    const { ops } = quantizeStatic(residual(), seen, scheme);
    expect(ops[0]).toMatchObject({ precision: 'float', reason: 'excluded by request' });
  });

  test('a matrix product keeps its axis', () => {
    const model = tinyModel({
      inputs: { x: [DataType.FLOAT, [2, 3]] },
      outputs: { y: [DataType.FLOAT, [2, 4]] },
      initializers: [weights('w', [3, 4], randomValues(randoms(5), 12))],
      nodes: [makeNode('MatMul', ['x', 'w'], ['y'])],
    });
    const { model: made } = quantizeStatic(model, ranges({ x: [-1, 1], y: [-1, 1] }), SCHEME);
    const quantize = made.graph.node.find(({ input }) => input[0]?.startsWith('w_grid') === true);
    expect(quantize?.attribute.find(({ name }) => name === 'axis')?.i).toBe(1n);
  });

  test('a model without layers is refused', () => {
    const model = tinyModel({
      inputs: { x: [DataType.FLOAT, [2]] },
      outputs: { y: [DataType.FLOAT, [2]] },
      initializers: [floatTensor('one', 1)],
      nodes: [makeNode('Add', ['x', 'one'], ['y'])],
    });
    expect(() => quantizeStatic(model, ranges({ x: [0, 1] }), SCHEME)).toThrow(
      'nothing of this model can run in INT8 with TensorRT',
    );
  });

  test('16-bit activations are refused', () => {
    const scheme = { ...SCHEME, activations: 's16' } as const;
    expect(() => quantizeStatic(residual(), seen, scheme)).toThrow('no 16-bit activations');
  });
});
