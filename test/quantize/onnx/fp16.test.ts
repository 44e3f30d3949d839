import { expect, test } from '@jest/globals';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { allNodes, makeNode, subgraphsOf } from '../../../agent/model/onnx/graph.ts';
import type { OnnxModel } from '../../../agent/model/onnx/open.ts';
import {
  DataType,
  floatTensor,
  int64Tensor,
  tensorNumbers,
} from '../../../agent/model/onnx/tensor.ts';
import { inferTypes } from '../../../agent/model/onnx/types.ts';
import { toFp16 } from '../../../agent/quantize/onnx/fp16.ts';
import { modelBytes, tinyGraph, tinyModel } from '../../support/onnx-models.ts';

const { FLOAT, FLOAT16, INT64, BOOL, DOUBLE } = DataType;

/** Every node as `Op(inputs)->outputs`. */
const shape = (model: OnnxModel) =>
  model.graph.node.map(
    ({ opType, input, output }) => `${opType}(${input.join()})->${output.join()}`,
  );

const initializers = (model: OnnxModel) =>
  Object.fromEntries(model.graph.initializer.map(({ name, dataType }) => [name, dataType]));

const edges = ({ graph }: OnnxModel) =>
  [...graph.input, ...graph.output].map(({ type }) => type?.tensorType?.elemType);

async function run(model: OnnxModel, feeds: Readonly<Record<string, Tensor>>) {
  const session = await InferenceSession.create(modelBytes(model), { logSeverityLevel: 3 });
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}

const vector = (...values: number[]) =>
  new Tensor('float32', Float32Array.from(values), [values.length]);
const flag = (value: boolean) => new Tensor('bool', [value], []);

const xTimesW = () =>
  tinyModel({
    inputs: { x: [FLOAT, [2]] },
    outputs: { y: [FLOAT, [2]] },
    initializers: [floatTensor('w', [0.1, 3])],
    nodes: [makeNode('Mul', ['x', 'w'], ['m']), makeNode('Neg', ['m'], ['y'])],
    valueInfo: { m: [FLOAT, [2]] },
  });

test('casts stand at the edge, and nowhere else', async () => {
  const { model, rows, clamped } = toFp16(xTimesW());
  expect(shape(model)).toEqual([
    'Cast(x)->x_fp16',
    'Mul(x_fp16,w)->m',
    'Neg(m)->y_fp16',
    'Cast(y_fp16)->y',
  ]);
  expect(initializers(model)).toEqual({ w: FLOAT16 });
  expect(edges(model)).toEqual([FLOAT, FLOAT]);
  expect(model.graph.valueInfo[0]?.type?.tensorType?.elemType).toBe(FLOAT16);
  expect(rows).toEqual([
    { node: 'm', op: 'Mul', precision: 'fp16' },
    { node: 'y', op: 'Neg', precision: 'fp16' },
  ]);
  expect(clamped).toEqual([]);
  const { y } = await run(model, { x: vector(2, -1) });
  // 0.1 is 0.0999755859375 in float16.
  expect([...(y?.data ?? [])]).toEqual([-0.199951171875, 3]);
});

test('without keepIo the edge is float16 itself', () => {
  const { model } = toFp16(xTimesW(), { keepIo: false });
  expect(shape(model)).toEqual(['Mul(x,w)->m', 'Neg(m)->y']);
  expect(edges(model)).toEqual([FLOAT16, FLOAT16]);
});

test('an op that stays in float gets what it needs in float', async () => {
  const source = tinyModel({
    inputs: { x: [FLOAT, [3]], k: [INT64, [1]] },
    outputs: { y: [FLOAT, [1]], at: [INT64, [1]] },
    initializers: [floatTensor('w', [1, 2, 4])],
    nodes: [
      makeNode('Mul', ['x', 'w'], ['m']),
      makeNode('TopK', ['m', 'k'], ['top', 'at']),
      makeNode('Neg', ['top'], ['y']),
    ],
  });
  const { model, rows } = toFp16(source);
  expect(shape(model)).toEqual([
    'Cast(x)->x_fp16',
    'Mul(x_fp16,w)->m',
    'Cast(m)->m_fp32',
    'TopK(m_fp32,k)->top,at',
    'Cast(top)->top_fp16',
    'Neg(top_fp16)->y_fp16',
    'Cast(y_fp16)->y',
  ]);
  expect(rows[1]).toEqual({
    node: 'top',
    op: 'TopK',
    precision: 'float',
    reason: 'TopK is not made for float16',
  });
  const k = new Tensor('int64', [1n], [1]);
  const { y, at } = await run(model, { x: vector(1, 2, 3), k });
  expect([y?.data[0], at?.data[0]]).toEqual([-12, 2n]);
});

test('ops and nodes can be excluded', () => {
  const byOp = toFp16(xTimesW(), { blockedOps: ['Mul'] });
  expect(initializers(byOp.model)).toEqual({ w: FLOAT });
  expect(shape(byOp.model)).toEqual([
    'Mul(x,w)->m',
    'Cast(m)->m_fp16',
    'Neg(m_fp16)->y_fp16',
    'Cast(y_fp16)->y',
  ]);
  expect(byOp.rows[0]?.reason).toBe('excluded by op');
  const byName = toFp16(xTimesW(), { blockedNodes: ['m', 'y'] });
  expect(shape(byName.model)).toEqual(['Mul(x,w)->m', 'Neg(m)->y']);
  expect(byName.rows.map(({ reason }) => reason)).toEqual(['excluded by name', 'excluded by name']);
});

test('a node is excluded by what it makes, too', () => {
  const model = tinyModel({
    inputs: { x: [FLOAT, [2]] },
    outputs: { y: [FLOAT, [2]] },
    nodes: [makeNode('Neg', ['x'], ['y'], { name: 'turn' })],
  });
  for (const name of ['turn', 'y']) {
    const { rows } = toFp16(model, { blockedNodes: [name] });
    expect(rows).toMatchObject([{ precision: 'float', reason: 'excluded by name' }]);
  }
});

test.each([
  ['MatMulNBits', 'com.microsoft'],
  ['Quant', 'qonnx.custom_op.general'],
])('a model with a %s of %s is quantized already', (op, domain) => {
  const model = tinyModel({
    inputs: { x: [FLOAT, [2]] },
    outputs: { y: [FLOAT, [2]] },
    nodes: [makeNode(op, ['x'], ['y'], { domain })],
  });
  expect(() => toFp16(model)).toThrow(`node 'y' is a ${domain}.${op}: already quantized`);
});

test('a weight that both kinds of ops read is kept twice, exact where it was', () => {
  const source = tinyModel({
    inputs: { x: [FLOAT, [2]] },
    outputs: { y: [FLOAT, [2]] },
    initializers: [floatTensor('w', [0.1, 3])],
    nodes: [makeNode('Mul', ['x', 'w'], ['m']), makeNode('Max', ['m', 'w'], ['y'])],
  });
  const { model } = toFp16(source);
  expect(initializers(model)).toEqual({ w: FLOAT, w_fp16: FLOAT16 });
  expect(shape(model)).toEqual([
    'Cast(x)->x_fp16',
    'Mul(x_fp16,w_fp16)->m',
    'Cast(m)->m_fp32',
    'Max(m_fp32,w)->y',
  ]);
});

test('Resize keeps its region and scales in float', async () => {
  const source = tinyModel({
    inputs: { x: [FLOAT, [1, 1, 2, 2]] },
    outputs: { y: [FLOAT, [1, 1, 4, 4]] },
    initializers: [floatTensor('roi', []), floatTensor('scales', [1, 1, 2, 2])],
    nodes: [makeNode('Resize', ['x', 'roi', 'scales'], ['y'])],
  });
  const { model } = toFp16(source);
  expect(initializers(model)).toEqual({ roi: FLOAT, scales: FLOAT });
  const x = new Tensor('float32', Float32Array.of(1, 2, 3, 4), [1, 1, 2, 2]);
  const { y } = await run(model, { x });
  expect([...(y?.data ?? [])].slice(0, 8)).toEqual([1, 1, 2, 2, 1, 1, 2, 2]);
});

test('constants change their type where they are made', async () => {
  const source = tinyModel({
    inputs: { x: [FLOAT, [2]], n: [INT64, [2]], size: [INT64, [1]] },
    outputs: { y: [FLOAT, [2]], z: [INT64, [2]] },
    nodes: [
      makeNode('Constant', [], ['a'], { attributes: { value_float: 0.5 } }),
      makeNode('Constant', [], ['b'], { attributes: { value: floatTensor('', [1, 2]) } }),
      makeNode('ConstantOfShape', ['size'], ['c'], { attributes: { value: floatTensor('', [4]) } }),
      makeNode('Cast', ['n'], ['d'], { attributes: { to: BigInt(FLOAT) } }),
      makeNode('Sum', ['x', 'a', 'b', 'c', 'd'], ['y']),
      makeNode('Cast', ['x'], ['z'], { attributes: { to: BigInt(INT64) } }),
    ],
  });
  const { model, rows } = toFp16(source);
  expect(shape(model)).toEqual([
    'Cast(x)->x_fp16',
    'Constant()->a',
    'Constant()->b',
    'ConstantOfShape(size)->c',
    'Cast(n)->d',
    'Sum(x_fp16,a,b,c,d)->y_fp16',
    'Cast(y_fp16)->y',
    'Cast(x)->z',
  ]);
  const types = inferTypes(model);
  expect(['a', 'b', 'c', 'd'].map(types.get)).toEqual([FLOAT16, FLOAT16, FLOAT16, FLOAT16]);
  expect(rows).toHaveLength(1);
  const { y } = await run(model, {
    x: vector(10, 20),
    n: new Tensor('int64', [100n, 200n], [2]),
    size: new Tensor('int64', [2n], [1]),
  });
  expect([...(y?.data ?? [])]).toEqual([115.5, 226.5]);
});

const withConstant = (op: string, value: number) =>
  tinyModel({
    inputs: { x: [FLOAT, [1]] },
    outputs: { y: [FLOAT, [1]] },
    initializers: [floatTensor('w', value)],
    nodes: [makeNode(op, ['x', 'w'], ['y'])],
  });

test('a number that float16 cannot hold keeps its op in float, a mask is clamped', () => {
  expect(toFp16(withConstant('Mul', 1e6)).rows[0]?.reason).toBe(
    'the constant 1000000 is beyond float16',
  );
  expect(toFp16(withConstant('Add', 1e-12)).rows[0]?.reason).toMatch(/too small for float16/);
  const masked = toFp16(withConstant('Add', -1e9));
  expect(masked.rows[0]?.precision).toBe('fp16');
  expect(masked.clamped).toEqual([{ tensor: 'w', above: 1, below: 0 }]);
  expect(masked.model.graph.initializer.map(tensorNumbers)).toEqual([[-65504]]);
});

/** y = flag ? |x| * w : max(x, w); both branches take x and w from outside. */
const branching = () =>
  tinyModel({
    inputs: { x: [FLOAT, [2]], flag: [BOOL, []] },
    outputs: { y: [FLOAT, [2]] },
    initializers: [floatTensor('w', [2, 3])],
    nodes: [
      makeNode('Neg', ['x'], ['n']),
      makeNode('If', ['flag'], ['y'], {
        attributes: {
          then_branch: tinyGraph({
            outputs: { t: [FLOAT, [2]] },
            nodes: [makeNode('Abs', ['n'], ['a']), makeNode('Mul', ['a', 'w'], ['t'])],
          }),
          else_branch: tinyGraph({
            outputs: { e: [FLOAT, [2]] },
            nodes: [makeNode('Max', ['n', 'w'], ['e'])],
          }),
        },
      }),
    ],
  });

test('branches are converted with what they take from outside', async () => {
  const { model } = toFp16(branching());
  const nodes = [...allNodes(model.graph)];
  expect(nodes.map(({ opType, input }) => `${opType}(${input.join()})`)).toEqual([
    'Cast(x)',
    'Neg(x_fp16)',
    'Cast(n)',
    'If(flag)',
    'Abs(n)',
    'Mul(a,w_fp16)',
    'Max(n_fp32,w)',
    'Cast(e_fp32)',
    'Cast(y_fp16)',
  ]);
  const bodies = model.graph.node.flatMap(subgraphsOf);
  expect(bodies.map(({ output }) => output[0]?.type?.tensorType?.elemType)).toEqual([
    FLOAT16,
    FLOAT16,
  ]);
  const x = vector(-1, -5);
  const yes = await run(model, { x, flag: flag(true) });
  const no = await run(model, { x, flag: flag(false) });
  expect([[...(yes['y']?.data ?? [])], [...(no['y']?.data ?? [])]]).toEqual([
    [2, 15],
    [2, 5],
  ]);
});

test('a branching node that is excluded keeps its bodies', async () => {
  const { model } = toFp16(branching(), { blockedOps: ['If'] });
  expect(initializers(model)).toEqual({ w: FLOAT });
  const { y } = await run(model, { x: vector(-1, -5), flag: flag(true) });
  expect([...(y?.data ?? [])]).toEqual([2, 15]);
});

test('a Loop carries float16', async () => {
  const body = tinyGraph({
    inputs: { i: [INT64, []], go: [BOOL, []], state: [FLOAT, [1]] },
    outputs: { keep: [BOOL, []], next: [FLOAT, [1]], seen: [FLOAT, [1]] },
    nodes: [
      makeNode('Identity', ['go'], ['keep']),
      makeNode('Add', ['state', 'step'], ['next']),
      makeNode('Identity', ['next'], ['seen']),
    ],
  });
  const source = tinyModel({
    inputs: { x: [FLOAT, [1]], n: [INT64, []], go: [BOOL, []] },
    outputs: { last: [FLOAT, [1]], all: [FLOAT, ['n', 1]] },
    initializers: [floatTensor('step', [0.5])],
    nodes: [makeNode('Loop', ['n', 'go', 'x'], ['last', 'all'], { attributes: { body } })],
  });
  const { model } = toFp16(source);
  const { last, all } = await run(model, {
    x: vector(1),
    n: new Tensor('int64', [3n], []),
    go: flag(true),
  });
  expect([[...(last?.data ?? [])], [...(all?.data ?? [])]]).toEqual([[2.5], [1.5, 2, 2.5]]);
});

test('inputs that are float16 or float64 already stay what they are', () => {
  const source = tinyModel({
    inputs: { h: [FLOAT16, [1]], d: [DOUBLE, [1]] },
    outputs: { y: [FLOAT, [1]] },
    nodes: [
      makeNode('Cast', ['h'], ['a'], { attributes: { to: BigInt(FLOAT) } }),
      makeNode('Cast', ['d'], ['b'], { attributes: { to: BigInt(FLOAT) } }),
      makeNode('Add', ['a', 'b'], ['y']),
    ],
  });
  const { model } = toFp16(source);
  expect(edges(model)).toEqual([FLOAT16, DOUBLE, FLOAT]);
  expect(shape(model)).toEqual(['Cast(h)->a', 'Cast(d)->b', 'Add(a,b)->y_fp16', 'Cast(y_fp16)->y']);
});

test('what nobody knows the type of stays as it is', () => {
  const source = tinyModel({
    inputs: { x: [FLOAT, [1]], i: [INT64, []] },
    outputs: { y: [FLOAT, [1]] },
    nodes: [
      makeNode('Neg', ['x'], ['n']),
      makeNode('SequenceConstruct', ['n', 'x'], ['s']),
      makeNode('SequenceAt', ['s', 'i'], ['e']),
      makeNode('Abs', ['e'], ['y']),
    ],
  });
  const { rows } = toFp16(source);
  expect(rows.map(({ op, precision }) => `${op} ${precision}`)).toEqual([
    'Neg fp16',
    'SequenceConstruct float',
    'Abs float',
  ]);
});

test('a model without floats is returned as it is', () => {
  const source = tinyModel({
    inputs: { x: [INT64, [1]] },
    outputs: { y: [INT64, [1]] },
    initializers: [int64Tensor('w', [1])],
    nodes: [makeNode('Add', ['x', 'w'], ['y'])],
  });
  expect(toFp16(source)).toEqual({ model: source, rows: [], clamped: [] });
  expect(toFp16(source).model).toBe(source);
});

test('a quantized model is refused by node', () => {
  const source = tinyModel({
    inputs: { x: [FLOAT, [1]] },
    outputs: { q: [DataType.UINT8, [1]] },
    initializers: [floatTensor('s', 1)],
    nodes: [makeNode('QuantizeLinear', ['x', 's'], ['q'])],
  });
  expect(() => toFp16(source)).toThrow(
    "node 'q' is a QuantizeLinear: already quantized; convert the float model",
  );
});

test('the batch Transpose that onnxruntime dies of is kept in float', async () => {
  const source = tinyModel({
    inputs: { x: [FLOAT, [2, 3, 2]] },
    outputs: { y: [FLOAT, [3, 2, 2]] },
    initializers: [{ ...floatTensor('w', [1, 0, 0, 1]), dims: [2, 2] }],
    nodes: [
      makeNode('Transpose', ['x'], ['t'], { attributes: { perm: [1n, 0n, 2n] } }),
      makeNode('MatMul', ['t', 'w'], ['y']),
    ],
  });
  const { model, rows } = toFp16(source);
  expect(rows.map(({ precision }) => precision)).toEqual(['float', 'fp16']);
  const values = Float32Array.from({ length: 12 }, (_, index) => index);
  const { y } = await run(model, { x: new Tensor('float32', values, [2, 3, 2]) });
  expect([...(y?.data ?? [])]).toEqual([0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11]);
});

test('sums of updates stay in float; updates that only replace do not', async () => {
  const at = int64Tensor('at', [0, 0]);
  const reducing = (reduction: string) =>
    tinyModel({
      opset: 16,
      inputs: { x: [FLOAT, [3]], u: [FLOAT, [2]] },
      outputs: { y: [FLOAT, [3]] },
      initializers: [at],
      nodes: [makeNode('ScatterElements', ['x', 'at', 'u'], ['y'], { attributes: { reduction } })],
    });
  expect(toFp16(reducing('none')).rows).toMatchObject([{ precision: 'fp16' }]);
  const { model, rows } = toFp16(reducing('add'));
  expect(rows).toMatchObject([
    { precision: 'float', reason: 'ScatterElements with reduction add is not made for float16' },
  ]);
  const { y } = await run(model, { x: vector(1, 2, 3), u: vector(10, 100) });
  expect([...(y?.data ?? [])]).toEqual([111, 2, 3]);
});

test('what onnxruntime expands in float alone stays in float', async () => {
  const source = tinyModel({
    inputs: { x: [FLOAT, [1, 1, 1, 2]] },
    outputs: { y: [FLOAT, [1, 1, 1, 2]] },
    nodes: [
      makeNode('Neg', ['x'], ['n']),
      makeNode('MeanVarianceNormalization', ['n'], ['y'], { attributes: { axes: [0n, 2n, 3n] } }),
    ],
  });
  const { model, rows } = toFp16(source);
  expect(rows.map(({ precision }) => precision)).toEqual(['fp16', 'float']);
  const { y } = await run(model, { x: new Tensor('float32', [3, 5], [1, 1, 1, 2]) });
  // Mean -4, deviation 1.
  expect(Number(y?.data[0])).toBeCloseTo(1, 5);
  expect(Number(y?.data[1])).toBeCloseTo(-1, 5);
});

test('an opset in which Cast names its type in words is refused', () => {
  const old = tinyModel({ ...TINY_OLD, opset: 5 });
  expect(() => toFp16(old)).toThrow('opset 5 is too old for float16');
  expect(toFp16(tinyModel({ ...TINY_OLD, opset: 6 })).rows).toHaveLength(1);
});

const TINY_OLD = {
  inputs: { x: [FLOAT, [2]] },
  outputs: { y: [FLOAT, [2]] },
  nodes: [makeNode('Neg', ['x'], ['y'])],
} as const;
