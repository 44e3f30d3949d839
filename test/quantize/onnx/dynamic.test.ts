import { describe, expect, test } from '@jest/globals';
import type { Scheme } from '../../../agent/contracts/scheme.ts';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import type { AttributeValue } from '../../../agent/model/onnx/graph.ts';
import type { OnnxModel } from '../../../agent/model/onnx/open.ts';
import { DataType, makeTensor, tensorData } from '../../../agent/model/onnx/tensor.ts';
import { quantizeDynamic } from '../../../agent/quantize/onnx/dynamic.ts';
import type { Tensor } from '../../../agent/runtime/types.ts';
import { modelBytes, tinyGraph, tinyModel } from '../../support/onnx-models.ts';
import type { TinyGraph } from '../../support/onnx-models.ts';
import {
  DYNAMIC,
  floats,
  kernelsOf,
  randomTensor,
  randomValues,
  randoms,
  run,
  sizeOf,
  sqnr,
  weights,
} from '../support.ts';
import { SATURATES } from './reference.ts';

const SCHEMES = [true, false].flatMap((perChannel) =>
  (SATURATES ? [true] : [false, true]).map((reduceRange) => {
    const scheme: Scheme = { ...DYNAMIC, perChannel, reduceRange };
    const label = `per ${perChannel ? 'channel' : 'tensor'}, ${reduceRange ? 7 : 8} bits`;
    return [label, scheme] as const;
  }),
);

interface ProductCase {
  readonly op: 'MatMul' | 'Gemm';
  readonly x: readonly number[];
  /** [in, out] */
  readonly w: readonly [number, number];
  readonly transB?: true;
  readonly bias?: true;
}

const PRODUCTS: Readonly<Record<string, ProductCase>> = {
  MatMul: { op: 'MatMul', x: [3, 8], w: [8, 5] },
  'MatMul of a vector': { op: 'MatMul', x: [8], w: [8, 5] },
  'MatMul of a batch': { op: 'MatMul', x: [2, 3, 8], w: [8, 5] },
  'MatMul with a bias': { op: 'MatMul', x: [2, 3, 8], w: [8, 5], bias: true },
  'MatMul to one column': { op: 'MatMul', x: [3, 8], w: [8, 1], bias: true },
  Gemm: { op: 'Gemm', x: [3, 8], w: [8, 5] },
  'Gemm with a bias': { op: 'Gemm', x: [3, 8], w: [8, 5], bias: true },
  'Gemm, transposed': { op: 'Gemm', x: [3, 8], w: [8, 5], transB: true },
  'Gemm, transposed, with a bias': { op: 'Gemm', x: [3, 8], w: [8, 5], transB: true, bias: true },
};

function productGraph({ op, x, w: [inner, out], transB, bias }: ProductCase): TinyGraph {
  const next = randoms(inner + out);
  const input = ['x', 'w', ...(op === 'Gemm' && bias === true ? ['b'] : [])];
  const attributes = transB === true ? { transB: 1n } : {};
  const add = op === 'MatMul' && bias === true;
  return {
    inputs: { x: [1, x] },
    outputs: { y: [1] },
    initializers: [
      weights('w', transB === true ? [out, inner] : [inner, out], randomValues(next, inner * out)),
      weights('b', [out], randomValues(next, out, 5)),
    ],
    nodes: [
      makeNode(op, input, [add ? 'p' : 'y'], { attributes }),
      ...(add ? [makeNode('Add', ['b', 'p'], ['y'])] : []),
    ],
  };
}

/**
 * The largest error that the scales allow: x is off by at most half a step of (max - min) / 255 with
 * zero inside, each weight by half a step of its column's max / 127 or 64.
 */
function boundOf({ w: [inner, out], transB }: ProductCase, model: OnnxModel, x: Tensor, s: Scheme) {
  const w = tensorData(model.graph.initializer[0]!) as Float32Array;
  const weight = (k: number, n: number) => Math.abs(w[transB ? n * inner + k : k * out + n]!);
  const values = floats(x.data);
  const xStep = (Math.max(0, ...values) - Math.min(0, ...values)) / 255;
  const all = Math.max(...w.map(Math.abs));
  return Array.from({ length: (values.length / inner) * out }, (_, at) => {
    const n = at % out;
    const column = Array.from({ length: inner }, (__, k) => weight(k, n));
    const wStep = (s.perChannel ? Math.max(...column) : all) / (s.reduceRange ? 64 : 127);
    const row = values.slice(Math.floor(at / out) * inner, (Math.floor(at / out) + 1) * inner);
    const fromX = column.reduce((a, b) => a + b, 0) * (xStep / 2);
    const fromW = row.reduce((a, b) => a + Math.abs(b), 0) * (wStep / 2);
    return (fromX + fromW + (inner * xStep * wStep) / 4) * 1.001 + 1e-6;
  });
}

describe.each(SCHEMES)('matrix products %s', (_, scheme) => {
  test.each(Object.entries(PRODUCTS))('%s', async (__, one) => {
    const model = tinyModel(productGraph(one));
    const made = quantizeDynamic(model, scheme);
    expect(made.ops.every(({ precision }) => precision === 'integer')).toBe(true);
    const x = randomTensor(randoms(5), one.x, 3);
    const [before, after] = [await run(model, { x }), await run(made.model, { x })];
    expect(after['y']?.shape).toEqual(before['y']?.shape);
    const bounds = boundOf(one, model, x, scheme);
    const exact = floats(before['y']!.data);
    const worst = floats(after['y']!.data).map(
      (value, i) => Math.abs(value - exact[i]!) / bounds[i]!,
    );
    expect(Math.max(...worst)).toBeLessThan(1);
    expect(Math.max(...worst)).toBeGreaterThan(0);
    expect(await kernelsOf(made.model, { x })).toEqual(['DynamicQuantizeMatMul']);
  });
});

interface LstmCase {
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  readonly directions?: 2;
  readonly bias?: true;
  readonly lengths?: true;
  readonly state?: true;
  readonly peepholes?: true;
  readonly opset?: number;
}

const [STEPS, BATCH, INPUTS, HIDDEN] = [5, 2, 6, 8];

const LSTMS: Readonly<Record<string, LstmCase>> = {
  plain: {},
  'with a bias': { bias: true },
  backwards: { attributes: { direction: 'reverse' }, bias: true },
  'in both directions': { attributes: { direction: 'bidirectional' }, directions: 2, bias: true },
  'with lengths': { lengths: true, bias: true },
  'with initial states': { state: true, bias: true },
  'with peepholes': { peepholes: true, state: true, bias: true },
  'with everything': {
    attributes: { direction: 'bidirectional', clip: 3 },
    directions: 2,
    bias: true,
    lengths: true,
    state: true,
    peepholes: true,
  },
  'with layout 0 spelt out': { attributes: { layout: 0n }, bias: true },
};

const optional = (there: true | undefined, name: string) => (there ? name : '');

function lstmGraph(one: LstmCase): TinyGraph {
  const next = randoms(9);
  const d = one.directions ?? 1;
  const tensor = (name: string, ...dims: readonly number[]) =>
    weights(name, dims, randomValues(next, sizeOf(dims), 0.4));
  const lengths = makeTensor('lengths', DataType.INT32, [BATCH], Int32Array.of(3, STEPS));
  const input = [
    'x',
    'w',
    'r',
    optional(one.bias, 'b'),
    optional(one.lengths, 'lengths'),
    optional(one.state, 'h0'),
    optional(one.state, 'c0'),
    optional(one.peepholes, 'p'),
  ];
  while (input.at(-1) === '') input.pop();
  return {
    inputs: { x: [1, [STEPS, BATCH, INPUTS]] },
    outputs: { y: [1], h: [1], c: [1] },
    initializers: [
      tensor('w', d, 4 * HIDDEN, INPUTS),
      tensor('r', d, 4 * HIDDEN, HIDDEN),
      tensor('b', d, 8 * HIDDEN),
      lengths,
      tensor('h0', d, BATCH, HIDDEN),
      tensor('c0', d, BATCH, HIDDEN),
      tensor('p', d, 3 * HIDDEN),
    ],
    nodes: [
      makeNode('LSTM', input, ['y', 'h', 'c'], {
        attributes: { hidden_size: BigInt(HIDDEN), ...one.attributes },
      }),
    ],
  };
}

describe.each(SCHEMES)('an LSTM %s', (_, scheme) => {
  test.each(Object.entries(LSTMS))('%s', async (__, one) => {
    const model = tinyModel(lstmGraph(one));
    const made = quantizeDynamic(model, scheme);
    expect(made.ops).toEqual([{ node: 'y', op: 'LSTM', precision: 'integer' }]);
    const x = randomTensor(randoms(5), [STEPS, BATCH, INPUTS], 2);
    const [before, after] = [await run(model, { x }), await run(made.model, { x })];
    for (const name of ['y', 'h', 'c']) {
      expect(after[name]?.shape).toEqual(before[name]?.shape);
      const signal = sqnr(floats(before[name]!.data), floats(after[name]!.data));
      expect(signal).toBeGreaterThan(scheme.reduceRange ? 30 : 35);
      expect(signal).toBeLessThan(80);
    }
    expect(await kernelsOf(made.model, { x })).toEqual(['DynamicQuantizeLSTM']);
    expect(modelBytes(made.model).length).toBeLessThan(modelBytes(model).length);
  });
});

const bool = (name: string, value: boolean) =>
  makeTensor(name, DataType.BOOL, [], Uint8Array.of(value ? 1 : 0));

/** If with a product in each branch; both branches call their own tensors by the same names. */
function branching(then: TinyGraph, otherwise: TinyGraph, constants: TinyGraph['initializers']) {
  return tinyModel({
    inputs: { go: [DataType.BOOL, []], x: [1, [2, 8]] },
    outputs: { y: [1] },
    initializers: constants ?? [],
    nodes: [
      makeNode('If', ['go'], ['y'], {
        attributes: { then_branch: tinyGraph(then), else_branch: tinyGraph(otherwise) },
      }),
    ],
  });
}

const go = (value: boolean): Tensor => ({
  dtype: 'bool',
  shape: [],
  data: Uint8Array.of(value ? 1 : 0),
});

const productOf = (w: string, out: string): TinyGraph => ({
  outputs: { [out]: [1] },
  nodes: [makeNode('MatMul', ['x', w], [out])],
});

describe('inside the branches of an If', () => {
  const next = randoms(3);
  const x = randomTensor(next, [2, 8]);
  const own = (out: string): TinyGraph => ({
    ...productOf('w', out),
    initializers: [weights('w', [8, 64], randomValues(next, 512))],
  });

  test('weights become small wherever they lie', async () => {
    const model = branching(own('t'), productOf('shared', 'e'), [
      weights('shared', [8, 64], randomValues(next, 512)),
    ]);
    const made = quantizeDynamic(model, { ...DYNAMIC, reduceRange: SATURATES });
    // Twice 2048 bytes of weights become twice 512, and what goes with them.
    expect(modelBytes(made.model).length).toBeLessThan(modelBytes(model).length - 1500);
    for (const value of [true, false]) {
      const feeds = { go: go(value), x };
      // oxlint-disable-next-line no-await-in-loop -- one session at a time
      const [before, after] = [await run(model, feeds), await run(made.model, feeds)];
      expect(sqnr(floats(before['y']!.data), floats(after['y']!.data))).toBeGreaterThan(30);
    }
    expect(await kernelsOf(made.model, { go: go(true), x })).toEqual(['DynamicQuantizeMatMul']);
  });

  test('a name means something else in the other branch', async () => {
    // Here w is made by a node: weights of the same name next door are none of its business.
    const made: TinyGraph = {
      outputs: { e: [1] },
      initializers: [bool('unused', true)],
      nodes: [
        makeNode('Transpose', ['x'], ['w']),
        makeNode('MatMul', ['x', 'w'], ['p']),
        makeNode('MatMul', ['p', 'last'], ['e']),
      ],
    };
    const model = branching(own('t'), made, [weights('last', [2, 64], randomValues(next, 128))]);
    const quantized = quantizeDynamic(model, { ...DYNAMIC, reduceRange: SATURATES });
    expect(quantized.ops.find(({ node }) => node === 'p')).toMatchObject({
      precision: 'float',
      reason: 'both factors are activations',
    });
    const feeds = { go: go(false), x };
    const [before, after] = [await run(model, feeds), await run(quantized.model, feeds)];
    expect(sqnr(floats(before['y']!.data), floats(after['y']!.data))).toBeGreaterThan(30);
  });
});

const integersOf = ({ graph }: OnnxModel) =>
  graph.initializer.filter(({ dataType, dims }) => dataType === 3 && dims.length === 2);

describe('weights that several nodes read are stored once', () => {
  const next = randoms(9);
  const x = randomTensor(next, [3, 8]);
  const w = weights('w', [8, 8], randomValues(next, 64));

  test('in one graph, and twice where one wants them transposed', async () => {
    const model = tinyModel({
      inputs: { x: [1, [3, 8]] },
      outputs: { y: [1] },
      initializers: [w],
      nodes: [
        makeNode('MatMul', ['x', 'w'], ['a']),
        makeNode('Gemm', ['a', 'w'], ['b']),
        makeNode('Gemm', ['b', 'w'], ['y'], { attributes: { transB: 1n } }),
      ],
    });
    const made = quantizeDynamic(model, { ...DYNAMIC, reduceRange: SATURATES });
    expect(made.ops.map(({ precision }) => precision)).toEqual(['integer', 'integer', 'integer']);
    expect(integersOf(made.model)).toHaveLength(2);
    const [before, after] = [await run(model, { x }), await run(made.model, { x })];
    expect(sqnr(floats(before['y']!.data), floats(after['y']!.data))).toBeGreaterThan(25);
  });

  test('in two branches', () => {
    const model = branching(productOf('w', 't'), productOf('w', 'e'), [w]);
    const made = quantizeDynamic(model, DYNAMIC);
    expect(integersOf(made.model)).toHaveLength(1);
    const bodies = made.model.graph.node.flatMap(({ attribute }) => attribute);
    expect(bodies.map(({ g }) => g?.initializer)).toEqual([[], []]);
  });
});

test.each<[string, number[]]>([
  ['a row', [1, 5]],
  ['one value', []],
  ['one value in a vector', [1]],
  ['one value in a matrix', [1, 1]],
])('a Gemm with %s as its bias', async (_, dims) => {
  const next = randoms(10);
  const x = randomTensor(next, [3, 8]);
  const model = tinyModel({
    inputs: { x: [1, [3, 8]] },
    outputs: { y: [1, [3, 5]] },
    initializers: [
      weights('w', [8, 5], randomValues(next, 40)),
      weights('c', dims, randomValues(next, sizeOf(dims))),
    ],
    nodes: [makeNode('Gemm', ['x', 'w', 'c'], ['y'])],
  });
  const made = quantizeDynamic(model, { ...DYNAMIC, reduceRange: SATURATES });
  expect(await kernelsOf(made.model, { x })).toEqual(['DynamicQuantizeMatMul']);
  const [before, after] = [await run(model, { x }), await run(made.model, { x })];
  expect(sqnr(floats(before['y']!.data), floats(after['y']!.data))).toBeGreaterThan(30);
});

describe('what stays in float', () => {
  const next = randoms(8);
  const base: TinyGraph = {
    inputs: { x: [1, [8, 8]], z: [1, [8, 8]] },
    outputs: { y: [1] },
    initializers: [
      weights('w', [8, 8], randomValues(next, 64)),
      weights('cube', [2, 8, 8], randomValues(next, 128)),
      weights('wild', [8, 8], randomValues(next, 64).fill(Infinity, 3, 4)),
      weights('b', [8], randomValues(next, 8)),
      weights('matrix', [8, 8], randomValues(next, 64)),
      weights('k', [8, 8, 1, 1], randomValues(next, 64)),
    ],
    nodes: [],
  };

  test.each<[string, string, string[], Record<string, AttributeValue>]>([
    ['both factors are activations', 'MatMul', ['x', 'z'], {}],
    ['its weights have 3 axes, not 2', 'MatMul', ['x', 'cube'], {}],
    ['its weights are not finite', 'MatMul', ['x', 'wild'], {}],
    ['its weights are the left factor, which has no integer kernel', 'MatMul', ['w', 'x'], {}],
    ['its weights are not constant', 'Gemm', ['x', 'z'], {}],
    ['Gemm with transA has no integer kernel', 'Gemm', ['x', 'w'], { transA: 1n }],
    ['its bias or factors need a Gemm in float', 'Gemm', ['x', 'w', 'b'], { alpha: 2 }],
    ['its bias or factors need a Gemm in float', 'Gemm', ['x', 'w', 'b'], { beta: 0.5 }],
    ['its bias or factors need a Gemm in float', 'Gemm', ['x', 'w', 'matrix'], {}],
    ['its bias or factors need a Gemm in float', 'Gemm', ['x', 'w', 'z'], {}],
    ['excluded by request', 'MatMul', ['x', 'matrix'], {}],
    ['has no weights to quantize', 'Relu', ['x'], {}],
  ])('%s: %s of %s %j', async (reason, op, input, attributes) => {
    const model = tinyModel({
      ...base,
      nodes: [
        makeNode(op, input, ['p'], { attributes, name: 'one' }),
        makeNode('MatMul', ['p', 'w'], ['y']),
      ],
    });
    const excluded = reason.startsWith('excluded') ? ['p'] : [];
    const made = quantizeDynamic(model, { ...DYNAMIC, excluded });
    expect(made.ops[0]).toEqual({ node: 'one', op, precision: 'float', reason });
    expect(made.ops[1]).toMatchObject({ precision: 'integer' });
    const feeds = { x: randomTensor(next, [8, 8]), z: randomTensor(next, [8, 8]) };
    const [before, after] = [await run(model, feeds), await run(made.model, feeds)];
    expect(after['y']?.shape).toEqual(before['y']?.shape);
  });

  const madeOf = (nodes: TinyGraph['nodes'], excluded: readonly string[] = []) => {
    const model = tinyModel({ ...base, outputs: { y: [1] }, nodes });
    return quantizeDynamic(model, { ...DYNAMIC, excluded }).ops.map(({ precision }) => precision);
  };

  test('an addition that is excluded, read elsewhere or not of a row', () => {
    const product = makeNode('MatMul', ['x', 'w'], ['p']);
    const add = makeNode('Add', ['p', 'b'], ['y'], { name: 'add' });
    expect(madeOf([product, add])).toEqual(['integer', 'integer']);
    expect(madeOf([product, add], ['add'])).toEqual(['integer', 'float']);
    expect(madeOf([product, makeNode('Add', ['p', 'p'], ['y'])])).toEqual(['integer', 'float']);
    expect(madeOf([product, makeNode('Add', ['p', 'matrix'], ['y'])])).toEqual([
      'integer',
      'float',
    ]);
    expect(
      madeOf([product, add, makeNode('Relu', ['p'], ['q']), makeNode('Mul', ['q', 'y'], ['z2'])]),
    ).toEqual(['integer', 'float', 'float', 'float']);
  });

  test.each([
    ['Conv', [16, 8, 3, 3]],
    ['ConvTranspose', [8, 16, 3, 3]],
  ])('the weights of a %s take 8 bits, and no time', async (op, dims) => {
    const model = tinyModel({
      inputs: { x: [1, [1, 8, 6, 6]] },
      outputs: { y: [1] },
      initializers: [
        weights('k', dims, randomValues(next, sizeOf(dims))),
        weights('w', [8, 8], randomValues(next, 64)),
        makeTensor('rows', DataType.INT64, [2], BigInt64Array.of(-1n, 8n)),
      ],
      nodes: [
        makeNode(op, ['x', 'k'], ['c'], { name: 'one', attributes: { pads: [1n, 1n, 1n, 1n] } }),
        makeNode('Reshape', ['c', 'rows'], ['r']),
        makeNode('MatMul', ['r', 'w'], ['y']),
      ],
    });
    const made = quantizeDynamic(model, { ...DYNAMIC, reduceRange: SATURATES });
    const stored = 'computes in float, with weights in 8 bits';
    const reason = expect.stringMatching(
      new RegExp(`^${stored}${op === 'Conv' ? ': a dyn' : '$'}`),
    );
    expect(made.ops[0]).toEqual({ node: 'one', op, precision: 'float', reason });
    expect(modelBytes(made.model).length).toBeLessThan(modelBytes(model).length - 2500);
    const x = randomTensor(next, [1, 8, 6, 6]);
    const [before, after] = [await run(model, { x }), await run(made.model, { x })];
    expect(sqnr(floats(before['y']!.data), floats(after['y']!.data))).toBeGreaterThan(30);
    // Nothing of what makes floats of them is left to run.
    const kernels = await kernelsOf(made.model, { x });
    expect(kernels).toContain(op);
    expect(kernels.filter((kernel) => kernel === 'Cast' || kernel === 'Mul')).toEqual([]);
  });

  test('a table alone: storing its weights is another scheme', () => {
    const model = tinyModel({
      inputs: { ids: [DataType.INT64, [1, 4]] },
      outputs: { y: [1] },
      initializers: [weights('table', [100, 8], randomValues(next, 800))],
      nodes: [makeNode('Gather', ['table', 'ids'], ['y'])],
    });
    expect(() => quantizeDynamic(model, DYNAMIC)).toThrow('nothing to quantize dynamically');
  });

  test('a model without weights', () => {
    const model = tinyModel({ ...base, nodes: [makeNode('MatMul', ['x', 'z'], ['y'])] });
    expect(() => quantizeDynamic(model, DYNAMIC)).toThrow('nothing to quantize dynamically');
  });

  test('a model that is quantized already', () => {
    const model = tinyModel({ ...base, nodes: [makeNode('MatMul', ['x', 'w'], ['y'])] });
    const once = quantizeDynamic(model, DYNAMIC).model;
    expect(() => quantizeDynamic(once, DYNAMIC)).toThrow('the model is quantized already');
  });
});

test('tables and recurrent layers without an integer kernel keep their weights in 8 bits', async () => {
  const next = randoms(5);
  const hidden = 16;
  const model = tinyModel({
    inputs: { ids: [DataType.INT64, [6, 1]] },
    outputs: { y: [1] },
    initializers: [
      weights('table', [200, 8], randomValues(next, 1600)),
      weights('gw', [1, 3 * hidden, 8], randomValues(next, 3 * hidden * 8)),
      weights('gr', [1, 3 * hidden, hidden], randomValues(next, 3 * hidden * hidden)),
      weights('w', [hidden, 12], randomValues(next, hidden * 12)),
    ],
    nodes: [
      makeNode('Gather', ['table', 'ids'], ['x']),
      makeNode('GRU', ['x', 'gw', 'gr'], ['', 'h'], { attributes: { hidden_size: 16n } }),
      makeNode('MatMul', ['h', 'w'], ['y']),
    ],
  });
  const made = quantizeDynamic(model, DYNAMIC);
  const stored = 'computes in float, with weights in 8 bits';
  expect(made.ops.map(({ op, precision, reason }) => [op, precision, reason])).toEqual([
    ['Gather', 'float', stored],
    ['GRU', 'float', stored],
    ['MatMul', 'integer', undefined],
  ]);
  // 1600 + 384 + 768 + 192 weights in a byte each, and a scale for each of their rows.
  expect(modelBytes(made.model).length).toBeLessThan(0.5 * modelBytes(model).length);
  const ids: Tensor = {
    dtype: 'int64',
    shape: [6, 1],
    data: BigInt64Array.from([3n, 9n, 150n, 0n, 7n, 8n]),
  };
  const feeds = { ids };
  const [before, after] = [await run(model, feeds), await run(made.model, feeds)];
  expect(sqnr(floats(before['y']?.data), floats(after['y']?.data))).toBeGreaterThan(25);
});
