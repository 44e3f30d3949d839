import { expect, test } from '@jest/globals';
import { makeNode } from '../../../../agent/model/onnx/graph.ts';
import type { OnnxModel } from '../../../../agent/model/onnx/open.ts';
import { DataType, floatData, makeTensor } from '../../../../agent/model/onnx/tensor.ts';
import { DOUBLES, withOneFloat } from '../../../../agent/quantize/onnx/prepare/one-float.ts';
import { tinyGraph, tinyModel } from '../../../support/onnx-models.ts';
import { floats, run } from '../../support.ts';

const { DOUBLE, FLOAT, FLOAT16, BOOL } = DataType;

const shape = ({ graph }: OnnxModel) =>
  graph.node.map(({ opType, input, output }) => `${opType}(${input.join()})->${output.join()}`);

/** 1, -2 and 0.5, 4 in float16. */
const halves = makeTensor('w', FLOAT16, [2, 2], Uint16Array.of(0x3c00, 0xc000, 0x3800, 0x4400));

test('float64: weights and arithmetic become float32, inputs and outputs stay', async () => {
  const model = tinyModel({
    inputs: { x: [DOUBLE, [1, 2]] },
    outputs: { y: [DOUBLE, [1, 2]] },
    initializers: [makeTensor('w', DOUBLE, [2, 2], Float64Array.of(1, -2, 0.5, 4))],
    nodes: [makeNode('MatMul', ['x', 'w'], ['m']), makeNode('Neg', ['m'], ['y'])],
    valueInfo: { m: [DOUBLE, [1, 2]] },
  });
  const made = withOneFloat(model, DOUBLES);
  expect(shape(made)).toEqual([
    'Cast(x)->x_float32',
    'MatMul(x_float32,w)->m',
    'Neg(m)->y_float32',
    'Cast(y_float32)->y',
  ]);
  expect(made.graph.initializer.map(({ dataType }) => dataType)).toEqual([FLOAT]);
  const { y } = await run(made, {
    x: { dtype: 'float64', shape: [1, 2], data: Float64Array.of(3, 2) },
  });
  // 3 * 1 + 2 * 0.5 and 3 * -2 + 2 * 4.
  expect(y).toMatchObject({ dtype: 'float64' });
  expect(Array.from(y?.data ?? [], Number)).toEqual([-4, -2]);
});

test('float16 inside casts: the casts go', async () => {
  const model = tinyModel({
    inputs: { x: [FLOAT, [1, 2]] },
    outputs: { y: [FLOAT, [1, 2]] },
    initializers: [halves],
    nodes: [
      makeNode('Cast', ['x'], ['h'], { attributes: { to: BigInt(FLOAT16) } }),
      makeNode('MatMul', ['h', 'w'], ['m']),
      makeNode('Cast', ['m'], ['y'], { attributes: { to: BigInt(FLOAT) } }),
    ],
  });
  const made = withOneFloat(model);
  expect(shape(made)).toEqual(['Identity(x)->h', 'MatMul(h,w)->m', 'Identity(m)->y']);
  const { y } = await run(made, {
    x: { dtype: 'float32', shape: [1, 2], data: Float32Array.of(3, 2) },
  });
  expect([...floats(y?.data)]).toEqual([4, 2]);
});

test('a mask of the lowest float64 stays a number, and bodies are changed, too', async () => {
  const branch = (op: string, name: string) =>
    tinyGraph({ outputs: { [name]: [DOUBLE, [1, 2]] }, nodes: [makeNode(op, ['m'], [name])] });
  const lowest = -Number.MAX_VALUE;
  const model = tinyModel({
    inputs: { x: [DOUBLE, [1, 2]], up: [BOOL, []] },
    outputs: { y: [DOUBLE, [1, 2]] },
    initializers: [makeTensor('mask', DOUBLE, [1, 2], Float64Array.of(0, lowest))],
    nodes: [
      makeNode('Add', ['x', 'mask'], ['m']),
      makeNode('If', ['up'], ['y'], {
        attributes: { then_branch: branch('Abs', 'a'), else_branch: branch('Neg', 'n') },
      }),
    ],
  });
  const { y } = await run(withOneFloat(model), {
    x: { dtype: 'float64', shape: [1, 2], data: Float64Array.of(-3, 1) },
    up: { dtype: 'bool', shape: [], data: Uint8Array.of(1) },
  });
  const largestFloat32 = (2 - 2 ** -23) * 2 ** 127;
  expect(Array.from(y?.data ?? [], Number)).toEqual([3, largestFloat32]);
});

test('every way to store other floats is read', () => {
  const infinite = makeTensor('d', DOUBLE, [1, 2], Float64Array.of(-Infinity, 1e300));
  // 1, -2, -0 and the smallest one, as float16 has them in int32_data.
  const typed = {
    ...halves,
    rawData: undefined,
    int32Data: Int32Array.of(0x3c00, 0xc000, 0x8000, 1),
  };
  const model = tinyModel({
    inputs: { x: [FLOAT, [2, 2]] },
    outputs: { y: [FLOAT, [2, 2]] },
    initializers: [typed, infinite],
    nodes: [makeNode('Identity', ['x'], ['y'])],
  });
  const [w, d] = withOneFloat(model).graph.initializer.map((one) => floatData(one));
  expect(w).toEqual(Float32Array.of(1, -2, -0, 2 ** -24));
  expect(d).toEqual(Float32Array.of(-Infinity, (2 - 2 ** -23) * 2 ** 127));
});

test('weights in float32, and what is no weight, are left alone', () => {
  const model = tinyModel({
    inputs: { x: [FLOAT, [2]] },
    outputs: { y: [DOUBLE, [2]] },
    initializers: [makeTensor('two', DOUBLE, [], Float64Array.of(2))],
    nodes: [
      makeNode('Cast', ['x'], ['d'], { attributes: { to: BigInt(DOUBLE) } }),
      makeNode('Mul', ['d', 'two'], ['y']),
    ],
  });
  expect(withOneFloat(model)).toBe(model);
});
