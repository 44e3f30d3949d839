import { describe, expect, test } from '@jest/globals';
import type { Scheme } from '../../../agent/contracts/scheme.ts';
import type { NodeProto } from '../../../agent/model/onnx/generated/messages.ts';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import type { OnnxModel } from '../../../agent/model/onnx/open.ts';
import {
  DataType,
  floatTensor,
  int64Tensor,
  makeTensor,
} from '../../../agent/model/onnx/tensor.ts';
import { quantizeStatic } from '../../../agent/quantize/onnx/static.ts';
import { countOps } from '../../../agent/quantize/report.ts';
import type { Tensor } from '../../../agent/runtime/types.ts';
import { modelBytes, tinyGraph, tinyModel } from '../../support/onnx-models.ts';
import type { TinyModel } from '../../support/onnx-models.ts';
import {
  STATIC,
  floats,
  kernelsOf,
  observe,
  randomTensor,
  randomValues,
  randoms,
  ranges,
  relativeError,
  run,
  sizeOf,
  sqnr,
  weights,
} from '../support.ts';
import { SATURATES } from './reference.ts';

const SCHEME: Scheme = { ...STATIC, reduceRange: SATURATES };
const next = randoms(31);
const IMAGE = [1, 3, 6, 6] as const;
const x: Tensor = randomTensor(next, IMAGE, 2);
const tensor = (name: string, ...dims: readonly number[]) =>
  weights(name, dims, randomValues(next, sizeOf(dims)));

const INITIALIZERS = [
  tensor('w', 3, 3, 1, 1),
  tensor('v', 3, 3, 1, 1),
  tensor('b', 3),
  floatTensor('zero', 0),
  floatTensor('half', 0.5),
  floatTensor('one', 1),
  floatTensor('six', 6),
];

function imageModel(nodes: readonly NodeProto[], rest: Partial<TinyModel> = {}): OnnxModel {
  const outputs = { y: [1] } as const;
  return tinyModel({
    inputs: { x: [1, IMAGE] },
    outputs,
    initializers: INITIALIZERS,
    nodes,
    ...rest,
  });
}

const conv = (from: string, to: string, w = 'w') => makeNode('Conv', [from, w], [to]);

/** Quantizes with what x shows, runs both and returns the signal to noise of each output. */
async function quality(model: OnnxModel, scheme = SCHEME) {
  const bytes = modelBytes(model);
  const made = quantizeStatic(model, await observe(model, [{ x }]), scheme);
  expect(modelBytes(model)).toEqual(bytes);
  const [before, after] = [await run(model, { x }), await run(made.model, { x })];
  expect(Object.keys(after)).toEqual(Object.keys(before));
  const db = Object.entries(before).map(([name, { dtype, shape, data }]) => {
    expect(after[name]).toMatchObject({ dtype, shape });
    return sqnr(floats(data), floats(after[name]!.data));
  });
  return { ...made, db };
}

const clip = (...bounds: string[]) => makeNode('Clip', ['c', ...bounds], ['r']);

describe('a clamp', () => {
  const relu = makeNode('Relu', ['c'], ['r']);
  const sigmoid = [conv('x', 'a'), makeNode('Sigmoid', ['a'], ['c'])];

  test.each<[string, NodeProto[]]>([
    ['Relu', [conv('x', 'c'), relu]],
    ['Clip from zero', [conv('x', 'c'), clip('zero')]],
    ['Clip to more than there is', [conv('x', 'c'), clip('', 'six')]],
    ['Clip to what there is', [conv('x', 'c'), clip('zero', 'half')]],
    ['Relu behind a Sigmoid', [...sigmoid, relu]],
    ['Clip to 1 behind a Sigmoid', [...sigmoid, clip('zero', 'one')]],
  ])('is superfluous: %s', async (_, nodes) => {
    const { model, ops, db } = await quality(imageModel([...nodes, conv('r', 'y')]));
    expect(countOps(ops)).toEqual({ integer: ops.length, fp16: 0, float: 0 });
    const names = model.graph.node.map(({ opType }) => opType);
    expect(names).not.toContain('Relu');
    expect(names).not.toContain('Clip');
    expect(db[0]).toBeGreaterThan(28);
  });

  test.each<[string, NodeProto[], Partial<TinyModel>?]>([
    ['a bound above zero', [conv('x', 'c'), clip('half')]],
    [
      'a bound that is computed',
      [makeNode('Sqrt', ['six'], ['root']), conv('x', 'c'), clip('zero', 'root')],
    ],
    ['a second reader', [conv('x', 'c'), relu, makeNode('Add', ['c', 'r'], ['s'])]],
    ['an output in between', [conv('x', 'c'), relu], { outputs: { y: [1], c: [1] } }],
    ['less than the fixed range of a Sigmoid', [...sigmoid, clip('zero', 'half')]],
    ['a float op in front', [makeNode('Tanh', ['x'], ['c']), relu]],
  ])('stays: %s', async (_, nodes, rest = {}) => {
    const last = nodes.at(-1)!.output[0]!;
    const { ops, db } = await quality(imageModel([...nodes, conv(last, 'y')], rest));
    expect(ops.find(({ node }) => node === 'r')).toMatchObject({
      precision: 'float',
      reason: 'not behind an integer op whose range makes it superfluous',
    });
    expect(Math.min(...db)).toBeGreaterThan(25);
  });

  test('stays where it is excluded', async () => {
    const scheme = { ...SCHEME, excluded: ['r'] };
    const { ops } = await quality(imageModel([conv('x', 'c'), relu, conv('r', 'y')]), scheme);
    expect(ops[1]).toMatchObject({ op: 'Relu', precision: 'float', reason: 'excluded by request' });
  });

  test('cuts off at its bound what the range does not show', async () => {
    const model = imageModel([conv('x', 'c'), clip('zero', 'half')], { outputs: { r: [1] } });
    const { r } = await run(quantizeStatic(model, await observe(model, [{ x }]), SCHEME).model, {
      x,
    });
    expect(Math.max(...floats(r!.data))).toBeLessThanOrEqual(0.5);
    expect(Math.min(...floats(r!.data))).toBe(0);
  });
});

const shared = (from: string, to: string) => makeNode('Conv', [from, 'w', 'b'], [to]);
const body = (op: string, out: string) =>
  tinyGraph({ outputs: { [out]: [1] }, nodes: [makeNode(op, ['c', 'w'], [out])] });

describe('odd graphs', () => {
  test.each<[string, NodeProto[], Partial<TinyModel>?]>([
    [
      'nodes without names',
      [conv('x', 'c'), conv('c', 'y')].map((node) => ({ ...node, name: '' })),
    ],
    [
      'tensors with the names that we would give',
      [
        conv('x', 's0'),
        conv('s0', 'q1'),
        makeNode('Add', ['s0', 'q1'], ['d2']),
        conv('d2', 'z0'),
        conv('z0', 'y'),
      ],
    ],
    [
      'a tensor added to itself',
      [conv('x', 'c'), makeNode('Add', ['c', 'c'], ['s']), conv('s', 'y')],
    ],
    [
      'a tensor joined to itself',
      [
        conv('x', 'c'),
        makeNode('Concat', ['c', 'c'], ['s'], { attributes: { axis: 0n } }),
        conv('s', 'y'),
      ],
    ],
    ['an input that is an output', [conv('x', 'y')], { outputs: { y: [1], x: [1] } }],
    [
      'an output twice in use',
      [conv('x', 'c'), conv('c', 'y'), conv('c', 'z', 'v')],
      { outputs: { y: [1], c: [1], z: [1] } },
    ],
    ['weights that are an output', [conv('x', 'y')], { outputs: { y: [1], w: [1] } }],
    [
      'weights that something else reads',
      [conv('x', 'c'), makeNode('Mul', ['w', 'six'], ['y'])],
      { outputs: { y: [1], c: [1] } },
    ],
    [
      'a constant that two ops read',
      [
        conv('x', 'c'),
        makeNode('Mul', ['c', 'six'], ['m']),
        makeNode('Add', ['m', 'six'], ['s']),
        conv('s', 'y'),
      ],
    ],
    ['a dead end', [conv('x', 'y'), makeNode('Neg', ['x'], ['nobody'])]],
  ])('%s', async (_, nodes, rest = {}) => {
    const { db } = await quality(imageModel(nodes, rest));
    expect(Math.min(...db)).toBeGreaterThan(25);
  });

  test('weights shared at different input scales, and their bias', async () => {
    const nodes = [
      shared('x', 'c'),
      makeNode('Mul', ['c', 'six'], ['m']),
      shared('m', 'n'),
      conv('n', 'y'),
    ];
    const { model, db } = await quality(imageModel(nodes));
    expect(db[0]).toBeGreaterThan(25);
    // The int8 values are the same at every input scale; each op has its own int32 bias, the last
    // one for the mean error of its weights.
    const types = model.graph.initializer.map(({ dataType, dims }) => `${dataType} ${dims.join()}`);
    expect(types.filter((type) => type === `${DataType.INT8} 3,3,1,1`)).toHaveLength(1);
    expect(types.filter((type) => type === `${DataType.INT32} 3`)).toHaveLength(3);
  });

  test('a body reads what became integers; its ops that no sample came by stay in float', async () => {
    const model = imageModel(
      [
        conv('x', 'c'),
        makeNode('If', ['go'], ['f'], {
          attributes: { then_branch: body('Conv', 't'), else_branch: body('Conv', 'e') },
        }),
        makeNode('Add', ['c', 'f'], ['y']),
      ],
      { initializers: [...INITIALIZERS, makeTensor('go', DataType.BOOL, [], Uint8Array.of(1))] },
    );
    const { ops, db } = await quality(model);
    expect(db[0]).toBeGreaterThan(30);
    const inside = ops.filter(({ node }) => node === 't' || node === 'e');
    expect(inside).toHaveLength(2);
    expect(inside[0]).toMatchObject({
      precision: 'float',
      reason: "no finite range was seen for 't'",
    });
  });

  test('an op of the standard domain spelt out', async () => {
    const spelt = { ...conv('x', 'y'), domain: 'ai.onnx' };
    const { ops } = await quality(imageModel([spelt]));
    expect(ops).toEqual([{ node: 'y', op: 'Conv', precision: 'integer' }]);
  });
});

test('the mean error of rounded weights goes into the bias', async () => {
  // One weight of 127 and many of 0.49, which all become 0: the sum is off by 8 * 0.49 * mean.
  const w = Float32Array.from({ length: 9 }, (_, i) => (i === 0 ? 127 : 0.49));
  const data = Float32Array.from({ length: 9 * 16 }, (_, i) => 1 + (i % 5) / 100);
  const input: Tensor = { dtype: 'float32', shape: [1, 9, 4, 4], data };
  const model = tinyModel({
    inputs: { x: [1, input.shape] },
    outputs: { y: [1] },
    initializers: [weights('w', [1, 9, 1, 1], w)],
    nodes: [conv('x', 'y')],
  });
  const seen = await observe(model, [{ x: input }]);
  const plain = ranges({ x: [0, 1.04], y: [0, 150] });
  const errorWith = async (statistics: typeof seen) => {
    const { model: made } = quantizeStatic(model, statistics, SCHEME);
    const [before, after] = [await run(model, { x: input }), await run(made, { x: input })];
    return relativeError(floats(before['y']!.data), floats(after['y']!.data));
  };
  expect(await errorWith(plain)).toBeGreaterThan(0.025);
  expect(await errorWith(seen)).toBeLessThan(0.006);
});

describe('refused or left', () => {
  test('a model in which nothing can be quantized', () => {
    const model = imageModel([makeNode('Tanh', ['x'], ['y'])]);
    expect(() => quantizeStatic(model, ranges({}), SCHEME)).toThrow(
      'it has no convolution and no matrix product',
    );
  });

  test('a model that is quantized already', async () => {
    const { model } = await quality(imageModel([conv('x', 'y')]));
    expect(() => quantizeStatic(model, ranges({}), SCHEME)).toThrow('quantized already');
  });

  test.each<[string, NodeProto, Record<string, [number, number]>]>([
    ["no finite range was seen for 'x'", conv('x', 'c'), { c: [0, 1] }],
    ["no finite range was seen for 'c'", conv('x', 'c'), { x: [0, 1], c: [-Infinity, 1] }],
    ['computes on constants only', makeNode('Conv', ['image', 'w'], ['c']), { c: [0, 1] }],
    ['its weights are not constant', makeNode('Conv', ['x', 'x'], ['c']), { x: [0, 1], c: [0, 1] }],
    ['its weights are not finite', conv('x', 'c', 'wild'), { x: [0, 1], c: [0, 1] }],
    [
      'its bias is not constant',
      makeNode('Conv', ['x', 'w', 'x'], ['c']),
      { x: [0, 1], c: [0, 1] },
    ],
    ['its weights are a vector', makeNode('MatMul', ['x', 'b'], ['c']), { x: [0, 1] }],
    ['its weights have a batch axis', makeNode('MatMul', ['x', 'w'], ['c']), { x: [0, 1] }],
    ['its bias is a matrix', makeNode('Gemm', ['x', 'm', 'm'], ['c']), { x: [0, 1] }],
    [
      'Gemm with transA has no integer kernel',
      makeNode('Gemm', ['x', 'm'], ['c'], { attributes: { transA: 1n } }),
      { x: [0, 1] },
    ],
    [
      'Gemm with alpha or beta other than 1',
      makeNode('Gemm', ['x', 'm', 'b'], ['c'], { attributes: { beta: 2 } }),
      { x: [0, 1] },
    ],
    [
      "its input 'x' is float, and it does little work",
      makeNode('Add', ['x', 'x'], ['c']),
      { x: [0, 1], c: [0, 1] },
    ],
    [
      "its input 'x' is float, and it does little work",
      makeNode('Concat', ['x', 'whole'], ['c'], { attributes: { axis: 0n } }),
      {},
    ],
    ['onnxruntime has no integer GRU on the CPU', makeNode('GRU', ['x', 'w', 'w'], ['c']), {}],
  ])('%s', (reason, node, given) => {
    const wild = weights('wild', [3, 3, 1, 1], [NaN, 1, 2, 3, 4, 5, 6, 7, 8]);
    const model = imageModel([node, conv('x', 'y')], {
      outputs: { y: [1], c: [1] },
      initializers: [
        ...INITIALIZERS,
        wild,
        int64Tensor('whole', [1]),
        tensor('image', 1, 3, 2, 2),
        tensor('m', 3, 3),
      ],
    });
    // The other convolution can be quantized wherever x has a range.
    const statistics = ranges({ x2: [0, 1], y: [0, 1], ...given });
    const both = { ...model, graph: { ...model.graph, node: [node, conv('x2', 'y')] } };
    expect(quantizeStatic(both, statistics, SCHEME).ops[0]).toEqual({
      node: 'c',
      op: node.opType,
      precision: 'float',
      reason,
    });
  });

  test('ops at the float end of a chain', async () => {
    const nodes = [
      conv('x', 'c'),
      makeNode('Mul', ['c', 'six'], ['m']),
      makeNode('Transpose', ['m'], ['t']),
      makeNode('Tanh', ['t'], ['y']),
    ];
    const { model, ops } = await quality(imageModel(nodes));
    expect(ops.map(({ precision }) => precision)).toEqual(['integer', 'float', 'float', 'float']);
    expect(ops[1]?.reason).toBe('all that reads it is float, and it does little work');
    expect(await kernelsOf(model, { x })).toContain('QLinearConv');
  });

  test('a clamp behind a product that hands on float', async () => {
    const nodes = [
      makeNode('MatMul', ['x', 'm'], ['p']),
      makeNode('Relu', ['p'], ['r']),
      makeNode('Tanh', ['r'], ['y']),
    ];
    const initializers = [tensor('m', 6, 6)];
    const { ops, db } = await quality(imageModel(nodes, { initializers }));
    expect(ops[1]).toMatchObject({ reason: 'behind a matrix product with float output' });
    expect(db[0]).toBeGreaterThan(30);
  });
});

test('integers only: refused with every op that would stay in float', async () => {
  const model = tinyModel({
    inputs: { x: [1, IMAGE] },
    outputs: { y: [1] },
    initializers: [tensor('w', 4, 3, 3, 3)],
    nodes: [
      makeNode('Conv', ['x', 'w'], ['c']),
      makeNode('Erf', ['c'], ['e']),
      makeNode('Sqrt', ['e'], ['y']),
    ],
  });
  const statistics = await observe(model, [{ x }]);
  expect(() => quantizeStatic(model, statistics, { ...SCHEME, integerOnly: true })).toThrow(
    /2 of 3 operations cannot run in integers: Erf 'e' \(.+\), Sqrt 'y' \(.+\)/,
  );
});

test('16-bit activations: as exact as the weights allow', async () => {
  const model = tinyModel({
    inputs: { x: [1, IMAGE] },
    outputs: { y: [1] },
    initializers: [tensor('w', 4, 3, 3, 3), tensor('b', 4)],
    nodes: [makeNode('Conv', ['x', 'w', 'b'], ['c']), makeNode('Relu', ['c'], ['y'])],
  });
  const statistics = await observe(model, [{ x }]);
  const made = quantizeStatic(model, statistics, { ...SCHEME, activations: 's16' });
  const exact = floats((await run(model, { x }))['y']?.data);
  const eight = quantizeStatic(model, statistics, SCHEME);
  const gain =
    sqnr(exact, floats((await run(made.model, { x }))['y']?.data)) -
    sqnr(exact, floats((await run(eight.model, { x }))['y']?.data));
  expect(gain).toBeGreaterThan(0);
  const types = made.model.graph.initializer.map(({ dataType }) => dataType);
  expect(types).toContain(DataType.INT16);
});

test('integers only: what is slower on bytes runs on bytes all the same', async () => {
  const model = tinyModel({
    inputs: { x: [1, [1, 1, 6, 6]] },
    outputs: { y: [1] },
    initializers: [tensor('w', 4, 1, 3, 3), int64Tensor('shape', [1, -1])],
    nodes: [makeNode('Conv', ['x', 'w'], ['c']), makeNode('Reshape', ['c', 'shape'], ['y'])],
  });
  const one = randomTensor(next, [1, 1, 6, 6], 2);
  const scheme = { ...SCHEME, integerOnly: true };
  const { ops } = quantizeStatic(model, await observe(model, [{ x: one }]), scheme);
  expect(ops.map(({ precision }) => precision)).toEqual(['integer', 'integer']);
});

test('integers only: a factor behind an op in float, or on the input itself, is no surprise', async () => {
  const model = tinyModel({
    inputs: { x: [1, IMAGE] },
    outputs: { y: [1] },
    initializers: [tensor('w', 4, 3, 3, 3), weights('half', [1], Float32Array.of(0.5))],
    nodes: [
      makeNode('Mul', ['x', 'half'], ['h']),
      makeNode('Conv', ['h', 'w'], ['c']),
      makeNode('Erf', ['c'], ['e']),
      makeNode('Mul', ['e', 'half'], ['y']),
    ],
  });
  const statistics = await observe(model, [{ x }]);
  expect(() => quantizeStatic(model, statistics, { ...SCHEME, integerOnly: true })).toThrow(
    /1 of 4 operations cannot run in integers: Erf 'e'/,
  );
});

test('16-bit activations have no integer operators', () => {
  const model = tinyModel({
    inputs: { x: [1, IMAGE] },
    outputs: { y: [1] },
    initializers: [tensor('w', 4, 3, 3, 3)],
    nodes: [makeNode('Conv', ['x', 'w'], ['y'])],
  });
  const scheme: Scheme = { ...SCHEME, activations: 's16', format: 'qoperator' };
  expect(() => quantizeStatic(model, ranges({ x: [-1, 1], y: [-1, 1] }), scheme)).toThrow(
    'leave out --format qoperator',
  );
});
