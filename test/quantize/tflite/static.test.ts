import { describe, expect, test } from '@jest/globals';
import type { Scheme } from '../../../agent/contracts/scheme.ts';
import { optionsOf } from '../../../agent/model/tflite/types.ts';
import type { TfliteModel, TfliteTensor } from '../../../agent/model/tflite/types.ts';
import { tensorNumbers } from '../../../agent/model/tflite/tensor.ts';
import { quantizeStatic, tensorsToObserve } from '../../../agent/quantize/tflite/static.ts';
import type { Feeds } from '../../../agent/runtime/types.ts';
import { value } from '../../support/tflite-models.ts';
import { floats, ranges, sqnr } from '../support.ts';
import { GraphBuilder } from './graphs.ts';
import { expectSpecified } from './specification.ts';
import { INT16, STATIC, observe, opsOf, run, runAll, tensorNamed, withSession } from './support.ts';

const SHAPE = [1, 4, 4, 4];

async function quantize(model: TfliteModel, samples: readonly Feeds[], scheme: Scheme = STATIC) {
  return quantizeStatic(model, await observe(model, samples), scheme);
}

async function signalToNoise(model: TfliteModel, made: TfliteModel, samples: readonly Feeds[]) {
  const [reference, outputs] = [await runAll(model, samples), await runAll(made, samples)];
  const all = (list: typeof reference) =>
    Float32Array.from(
      list.flatMap((one) => Object.values(one).flatMap(({ data }) => [...floats(data)])),
    );
  return sqnr(all(reference), all(outputs));
}

const paramsOf = ({ quantization }: TfliteTensor) => [
  quantization!.scale[0]!,
  quantization!.zeroPoint[0]!,
];

/** x -> conv with RELU6 -> depthwise -> dense head -> SOFTMAX */
function classifier() {
  const g = new GraphBuilder(5);
  const x = g.input('x', SHAPE);
  const body = g.depthwise('depthwise', g.conv('conv', x, 8, { activation: 'RELU6' }), 'RELU');
  const flat = g.reshape('flat', body, [1, 128]);
  const out = g.softmax('out', g.dense('head', flat, 10));
  return { g, model: g.model([out]), samples: g.samples(4) };
}

test('a classifier runs in integers up to its softmax', async () => {
  const { model, samples } = classifier();
  const { model: made, ops } = await quantize(model, samples);
  expectSpecified(made);
  expect(opsOf(made)).toEqual([
    'QUANTIZE',
    'CONV_2D',
    'DEPTHWISE_CONV_2D',
    'RESHAPE',
    'FULLY_CONNECTED',
    'DEQUANTIZE',
    'SOFTMAX',
  ]);
  expect(ops.map(({ node, op, precision }) => [node, op, precision])).toEqual([
    ['conv', 'CONV_2D', 'integer'],
    ['depthwise', 'DEPTHWISE_CONV_2D', 'integer'],
    ['flat', 'RESHAPE', 'integer'],
    ['head', 'FULLY_CONNECTED', 'integer'],
    ['out', 'SOFTMAX', 'float'],
  ]);
  expect(ops.at(-1)!.reason).toContain('slower');
  expect(await signalToNoise(model, made, samples)).toBeGreaterThan(30);
  expect(tensorsToObserve(model)).toEqual(['x', 'conv', 'depthwise', 'flat', 'head', 'out']);
});

test('every layer has the biases and scales that its kernel computes with', async () => {
  const { model, samples } = classifier();
  const { model: made } = await quantize(model, samples);
  const [conv] = made.subgraphs[0]!.operators.filter(({ op }) => op === 'CONV_2D');
  const [x, w, b] = conv!.inputs.map((at) => made.subgraphs[0]!.tensors[at]!);
  // RELU6 cannot give more than 6 or less than 0.
  const [scale, zeroPoint] = paramsOf(tensorNamed(made, 'conv'));
  expect(zeroPoint).toBe(-128);
  expect(scale! * 255).toBeLessThanOrEqual(6.0001);
  const floatWeights = tensorNamed(model, 'conv/w');
  const largest = tensorNumbers(floatWeights).slice(0, 36).map(Math.abs);
  expect(w!.quantization!.scale[0]).toBeCloseTo(Math.max(...largest) / 127, 9);
  expect(b!.quantization!.scale[0]).toBe(
    Math.fround(paramsOf(x!)[0]! * w!.quantization!.scale[0]!),
  );
});

describe('what goes in and out', () => {
  test.each([
    ['float32', undefined],
    ['int8', [-128]],
    ['uint8', [0]],
  ] as const)('%s', async (type, zeroPoint) => {
    const { model: plain, samples } = classifier();
    const model: TfliteModel = {
      ...plain,
      signatures: [
        {
          key: 'serving_default',
          subgraph: 0,
          inputs: [{ name: 'image', tensor: plain.subgraphs[0]!.inputs[0]! }],
          outputs: [{ name: 'classes', tensor: plain.subgraphs[0]!.outputs[0]! }],
        },
      ],
    };
    const scheme: Scheme = { ...STATIC, integerOnly: true, io: type };
    const { model: made } = await quantize(model, samples, scheme);
    expectSpecified(made);
    const [graph] = made.subgraphs;
    const [signature] = made.signatures;
    expect(signature!.inputs[0]!.tensor).toBe(graph!.inputs[0]);
    expect(signature!.outputs[0]!.tensor).toBe(graph!.outputs[0]);
    const outside = [...graph!.inputs, ...graph!.outputs].map((at) => graph!.tensors[at]!);
    expect(outside.map(({ name }) => name)).toEqual(['x', 'out']);
    expect(outside.map((one) => one.type)).toEqual([type.toUpperCase(), type.toUpperCase()]);
    expect(outside[1]!.quantization?.zeroPoint).toEqual(zeroPoint);
    expect(await signalToNoise(model, made, samples)).toBeGreaterThan(30);
  });

  test('integers only means integers outside, unless told', async () => {
    const { model, samples } = classifier();
    const { model: made } = await quantize(model, samples, { ...STATIC, integerOnly: true });
    expect(tensorNamed(made, 'x').type).toBe('INT8');
    const wide = await quantize(model, samples, { ...INT16, integerOnly: true });
    expect(tensorNamed(wide.model, 'out').type).toBe('INT16');
  });

  test('other widths than inside are refused', async () => {
    const { model, samples } = classifier();
    await expect(quantize(model, samples, { ...STATIC, io: 'int16' })).rejects.toMatchObject({
      code: 'NOT_CONVERTIBLE',
      message: 'a model of 8-bit activations cannot have int16 inputs and outputs',
    });
  });

  test('a float operator reads the float input that the model was given', async () => {
    const g = new GraphBuilder();
    const x = g.input('x', SHAPE);
    const model = g.model([g.softmax('soft', x), g.conv('conv', x, 4)]);
    const { model: made } = await quantize(model, g.samples(2));
    expect(opsOf(made).toSorted()).toEqual(['CONV_2D', 'DEQUANTIZE', 'QUANTIZE', 'SOFTMAX']);
    expect(tensorNamed(made, 'x').type).toBe('FLOAT32');
  });
});

describe('excluded operators', () => {
  test.each([
    ['by name', { excluded: ['depthwise'] }],
    ['by operator', { rules: [{ op: 'DEPTHWISE_CONV_2D', precision: 'float' }] }],
  ] as const)('%s', async (_, deviation) => {
    const { model, samples } = classifier();
    const { model: made, ops } = await quantize(model, samples, { ...STATIC, ...deviation });
    expectSpecified(made);
    expect(ops[1]).toEqual({
      node: 'depthwise',
      op: 'DEPTHWISE_CONV_2D',
      precision: 'float',
      reason: 'excluded by request',
    });
    expect(opsOf(made).slice(1, 5)).toEqual([
      'CONV_2D',
      'DEQUANTIZE',
      'DEPTHWISE_CONV_2D',
      'QUANTIZE',
    ]);
  });

  test('one scale for all weights of an operator', async () => {
    const { model, samples } = classifier();
    const rules = [{ name: 'conv', perChannel: false }];
    const { model: made } = await quantize(model, samples, { ...STATIC, rules });
    expect(tensorNamed(made, 'conv/w').quantization!.scale).toHaveLength(1);
    expect(tensorNamed(made, 'depthwise/w').quantization!.scale).toHaveLength(8);
  });
});

describe('integers only', () => {
  test('lists what cannot', async () => {
    const g = new GraphBuilder();
    const x = g.input('x', SHAPE);
    const conv = g.conv('conv', x, 4);
    const model = g.model([
      g.make('FLOOR', 'floor', [conv], SHAPE),
      g.make('CEIL', 'ceil', [conv], SHAPE),
    ]);
    const scheme = { ...STATIC, integerOnly: true };
    await expect(quantize(model, g.samples(2), scheme)).rejects.toMatchObject({
      code: 'NOT_INTEGER',
      message:
        "2 of 3 operations cannot run in integers: FLOOR 'floor' (TensorFlow Lite has no integer kernel for FLOOR), CEIL 'ceil' (TensorFlow Lite has no integer kernel for CEIL)",
    });
  });

  test('operators without floats are none of its business', async () => {
    const g = new GraphBuilder();
    const x = g.input('x', SHAPE);
    const indices = g.add(value('indices', [2], 'INT32'));
    g.inputs.push(indices);
    const sum = g.add(value('sum', [2], 'INT32'));
    const model = g.model([g.conv('conv', x, 4), sum]);
    const [graph] = model.subgraphs;
    const adding = {
      ...graph!.operators[0]!,
      op: 'ADD',
      inputs: [indices, indices],
      outputs: [sum],
    };
    const operators = [...graph!.operators, { ...adding, options: null }] as const;
    const whole = { ...model, subgraphs: [{ ...graph!, operators }] } as TfliteModel;
    const seen = ranges({ x: [-1, 1], conv: [-2, 2] });
    const { ops } = quantizeStatic(whole, seen, { ...STATIC, integerOnly: true });
    expect(ops.map(({ precision }) => precision)).toEqual(['integer', 'integer']);
  });
});

describe('what is refused', () => {
  test('a model that is quantized already', async () => {
    const { model, samples } = classifier();
    const seen = await observe(model, samples);
    const { model: made } = quantizeStatic(model, seen, STATIC);
    expect(() => quantizeStatic(made, seen, STATIC)).toThrow('the model is quantized already');
  });

  test('a model that gains nothing', async () => {
    const g = new GraphBuilder();
    const x = g.input('x', SHAPE);
    await expect(quantize(g.model([g.sum('sum', x, x)]), g.samples(2))).rejects.toMatchObject({
      code: 'NOTHING_TO_QUANTIZE',
    });
  });

  test('a tensor that no sample came by', () => {
    const { model } = classifier();
    const seen = ranges({ x: [-1, 1], conv: [0, 6], depthwise: [0, 3], flat: [0, 3] });
    const { ops } = quantizeStatic(model, seen, STATIC);
    expect(ops[3]!.reason).toBe("no finite range was seen of 'head'");
  });
});

describe('tensors that are brought together', () => {
  test('whoever makes them rounds to the scale of the whole at once', async () => {
    const g = new GraphBuilder(2);
    const x = g.input('x', SHAPE);
    const parts = [g.conv('a', x, 4), g.pool('MAX_POOL_2D', 'pooled', g.conv('b', x, 4))];
    const model = g.model([g.conv('out', g.concat('all', parts), 4)]);
    const { model: made } = await quantize(model, g.samples(3));
    expectSpecified(made);
    expect(opsOf(made).filter((op) => op === 'QUANTIZE')).toHaveLength(1);
    for (const name of ['a', 'b', 'pooled']) {
      expect(paramsOf(tensorNamed(made, name))).toEqual(paramsOf(tensorNamed(made, 'all')));
    }
  });

  test('what others read, too, is requantized in front; constants are stored anew', async () => {
    const g = new GraphBuilder(2);
    const x = g.input('x', SHAPE);
    const shared = g.conv('a', x, 4);
    const steady = g.floats(
      'steady',
      Array.from({ length: 64 }, (_, i) => i / 8),
      SHAPE,
    );
    const all = g.concat('all', [shared, g.unary('LOGISTIC', 'fixed', shared), steady]);
    const model = g.model([g.conv('out', all, 4), g.conv('other', shared, 4)]);
    const { model: made } = await quantize(model, g.samples(3));
    expectSpecified(made);
    expect(opsOf(made).filter((op) => op === 'QUANTIZE')).toHaveLength(3);
    const wide = paramsOf(tensorNamed(made, 'all'));
    expect(paramsOf(tensorNamed(made, 'steady'))).toEqual(wide);
    expect(paramsOf(tensorNamed(made, 'fixed'))).toEqual([1 / 256, -128]);
    // 63 / 8, as far as the steps go.
    const stored = tensorNumbers(tensorNamed(made, 'steady')).at(-1)!;
    expect(Math.abs((stored - wide[1]!) * wide[0]! - 63 / 8)).toBeLessThanOrEqual(wide[0]! / 2);
  });
});

describe('weights', () => {
  test('layers that share weights and biases have biases of their own', async () => {
    const g = new GraphBuilder(3);
    const x = g.input('x', SHAPE);
    const weights = g.random('shared/w', [4, 1, 1, 4]);
    const bias = g.random('shared/b', [4]);
    const first = g.conv('first', x, 4, { weights, bias, size: 1 });
    const model = g.model([g.conv('second', first, 4, { weights, bias, size: 1 })]);
    const { model: made } = await quantize(model, g.samples(3));
    expectSpecified(made);
    const convs = made.subgraphs[0]!.operators.filter(({ op }) => op === 'CONV_2D');
    expect(new Set(convs.map(({ inputs }) => inputs[1])).size).toBe(1);
    expect(new Set(convs.map(({ inputs }) => inputs[2])).size).toBe(2);
  });

  test('a bias far above what its weights give fits into 32 bits', async () => {
    const g = new GraphBuilder(3);
    const x = g.input('x', SHAPE);
    const weights = g.floats(
      'w',
      [1e-9, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
      [4, 1, 1, 4],
    );
    const bias = g.floats('b', [500, 1, -3, 0]);
    const model = g.model([g.conv('y', x, 4, { weights, bias, size: 1 })]);
    const samples = g.samples(2);
    const { model: made } = await quantize(model, samples);
    expectSpecified(made);
    const [reference, output] = [await run(model, samples[0]!), await run(made, samples[0]!)];
    const off = floats(reference['y']!.data).map((one, i) =>
      Math.abs(one - floats(output['y']!.data)[i]!),
    );
    expect(Math.max(...off)).toBeLessThanOrEqual(paramsOf(tensorNamed(made, 'y_int8'))[0]!);
  });

  test('what XNNPACK would refuse does not come up', async () => {
    // An output of nearly nothing beside a large input: a quotient of scales above 256.
    const g = new GraphBuilder(3);
    const x = g.input('x', SHAPE);
    const weights = g.floats(
      'w',
      [1, -1, 0, 0, 1, -1, 0, 0, 0, 0, 0, 0, 1, -1, 0, 0],
      [4, 1, 1, 4],
    );
    const bias = g.floats('b', [0, 0, 1e-4, 0]);
    const model = g.model([g.conv('y', x, 4, { weights, bias, size: 1 })]);
    const data = Float32Array.from({ length: 64 }, (_, i) =>
      i % 4 < 2 ? Math.floor(i / 4) * 10 : 0,
    );
    const feeds = { x: { dtype: 'float32', shape: SHAPE, data } } as const;
    const { model: made } = await quantize(model, [feeds]);
    expectSpecified(made);
    const notes = await withSession(made, 'xnnpack', async (session) => session.describe().notes);
    expect(notes).toBeUndefined();
    expect(floats((await run(made, feeds))['y']!.data).every((one) => Math.abs(one) < 1)).toBe(
      true,
    );
  });

  test.each(['ADD', 'SUB'] as const)(
    '%s of nearly nothing does not end the process',
    async (op) => {
      const g = new GraphBuilder(3);
      const x = g.conv('x1', g.input('x', SHAPE), 4);
      const kind = op === 'ADD' ? 'AddOptions' : 'SubOptions';
      const options = { kind, fusedActivationFunction: 'NONE', potScaleInt16: true } as const;
      const zero = op === 'ADD' ? g.unary('NEG', 'minus', x) : x;
      const model = g.model([g.conv('y', g.make(op, 'z', [x, zero], SHAPE, options), 4)]);
      const samples = g.samples(2);
      for (const scheme of [STATIC, INT16]) {
        // oxlint-disable-next-line no-await-in-loop -- one run after the other
        const { model: made } = await quantize(model, samples, { ...scheme, integerOnly: true });
        // oxlint-disable-next-line no-await-in-loop
        expect(await runAll(made, samples, 'plain')).toHaveLength(2);
      }
    },
  );

  test('the bias takes up what rounding the weights adds on average', async () => {
    const g = new GraphBuilder(9);
    const x = g.input('x', SHAPE);
    // One large weight makes the steps coarse for all others.
    const values = Array.from({ length: 16 }, (_, i) => (i % 4 === 0 ? 10 : 0.03));
    const weights = g.floats('w', values, [4, 1, 1, 4]);
    const model = g.model([g.conv('y', x, 4, { weights, size: 1 })]);
    const samples = g.samples(8).map(({ x: one }) => ({
      x: { ...one!, data: floats(one!.data).map((v, i) => (i % 4 === 0 ? v / 100 : v + 3)) },
    }));
    const seen = await observe(model, samples);
    const corrected = quantizeStatic(model, seen, STATIC).model;
    const tensors = new Map(
      [...seen.tensors].map(([name, one]) => [name, { ...one, channelMean: new Float64Array(0) }]),
    );
    const plain = quantizeStatic(model, { ...seen, tensors }, STATIC).model;
    const [better, worse] = [
      await signalToNoise(model, corrected, samples),
      await signalToNoise(model, plain, samples),
    ];
    expect(better).toBeGreaterThan(worse + 6);
  });
});

describe('matrix products', () => {
  const byRows = { ...STATIC, rules: [{ op: 'FULLY_CONNECTED', perChannel: true }] };

  test('one behind the other stay pixels', async () => {
    const g = new GraphBuilder(4);
    const x = g.input('x', [2, 32]);
    const hidden = g.dense('hidden', x, 16, { activation: 'RELU' });
    const model = g.model([g.dense('out', hidden, 4, { bias: false })]);
    const samples = g.samples(4);
    const { model: made } = await quantize(model, samples, byRows);
    expectSpecified(made);
    expect(opsOf(made)).toEqual([
      'QUANTIZE',
      'RESHAPE',
      'CONV_2D',
      'CONV_2D',
      'RESHAPE',
      'DEQUANTIZE',
    ]);
    expect(await signalToNoise(model, made, samples)).toBeGreaterThan(35);
  });

  test('small ones stay what they are', async () => {
    const g = new GraphBuilder(4);
    // 511 weights; 512 are worth two RESHAPEs.
    const model = g.model([g.dense('out', g.input('x', [2, 73]), 7)]);
    const samples = g.samples(4);
    const { model: made } = await quantize(model, samples, byRows);
    expectSpecified(made);
    expect(opsOf(made)).toEqual(['QUANTIZE', 'FULLY_CONNECTED', 'DEQUANTIZE']);
    expect(await signalToNoise(model, made, samples)).toBeGreaterThan(35);
  });

  test('with one scale for all weights they stay what they are', async () => {
    const g = new GraphBuilder(4);
    const model = g.model([g.dense('out', g.input('x', [2, 64]), 8)]);
    const { model: made } = await quantize(model, g.samples(4), { ...STATIC, perChannel: false });
    expectSpecified(made);
    expect(opsOf(made)).toEqual(['QUANTIZE', 'FULLY_CONNECTED', 'DEQUANTIZE']);
  });

  describe('scales per row take a fiftieth of the weights at most', () => {
    /** How many scales two products of 8 rows get; the second gains more by a scale per row. */
    const grains = async (inputs: number, scheme: Scheme) => {
      const g = new GraphBuilder(4);
      const x = g.input('x', [2, inputs]);
      const spread = (name: string, largest: number) => {
        const values = Array.from({ length: 8 * inputs }, (_, i) => Math.sin(i) / inputs);
        return g.floats(name, [largest, ...values.slice(1)], [8, inputs]);
      };
      const even = g.dense('a', x, 8, { weights: spread('even', 1 / inputs) });
      const uneven = g.dense('b', x, 8, { weights: spread('uneven', 8 / inputs) });
      const { model: made } = await quantize(g.model([even, uneven]), g.samples(2), scheme);
      return ['even', 'uneven'].map((name) => tensorNamed(made, name).quantization!.scale.length);
    };
    // 64 bytes of scales for each product, and 64 of zero points for both: of 16 bytes of weights per input.
    test.each([
      ['none', 390, STATIC, [1, 1]],
      ['the one that gains more', 410, STATIC, [1, 8]],
      ['both', 610, STATIC, [8, 8]],
      ['all for accuracy', 100, { ...STATIC, rounding: 'adaptive' }, [8, 8]],
      ['all beside 16 bits', 100, INT16, [8, 8]],
      ['all as the scheme says', 100, { ...STATIC, rowScales: 'all' }, [8, 8]],
      ['few as the scheme says', 390, { ...INT16, rowScales: 'few' }, [1, 1]],
      ['all as asked', 100, byRows, [8, 8]],
    ] as const)('%s', async (_, inputs, scheme, expected) => {
      expect(await grains(inputs, scheme)).toEqual(expected);
    });
  });

  test('kept dimensions are kept', async () => {
    const g = new GraphBuilder(4);
    const model = g.model([g.dense('out', g.input('x', [2, 3, 64]), 8, { keep: true })]);
    const samples = g.samples(4);
    const { model: made } = await quantize(model, samples, byRows);
    expect(opsOf(made)).toContain('CONV_2D');
    expect((await run(made, samples[0]!))['out']!.shape).toEqual([2, 3, 8]);
    expect(await signalToNoise(model, made, samples)).toBeGreaterThan(35);
  });
});

describe('activations of their own', () => {
  test('join the operator in front', async () => {
    const g = new GraphBuilder(6);
    const x = g.input('x', SHAPE);
    const sum = g.sum('sum', g.conv('a', x, 4), g.conv('b', x, 4));
    const model = g.model([g.conv('out', g.unary('RELU', 'relu', sum), 4)]);
    const samples = g.samples(3);
    const { model: made, ops } = await quantize(model, samples);
    expect(opsOf(made)).not.toContain('RELU');
    const add = made.subgraphs[0]!.operators.find(({ op }) => op === 'ADD')!;
    expect(optionsOf(add, 'AddOptions')!.fusedActivationFunction).toBe('RELU');
    expect(ops.every(({ precision }) => precision === 'integer')).toBe(true);
    expect(ops.map(({ node }) => node)).toEqual(['a', 'b', 'sum', 'relu', 'out']);
    expect(await signalToNoise(model, made, samples)).toBeGreaterThan(30);
  });

  test('stay where somebody else reads what is in front of them', async () => {
    const g = new GraphBuilder(6);
    const x = g.conv('a', g.input('x', SHAPE), 4);
    const model = g.model([g.conv('b', g.unary('RELU', 'relu', x), 4), g.conv('c', x, 4)]);
    const { ops } = await quantize(model, g.samples(3));
    expect(ops.find(({ op }) => op === 'RELU')!.reason).toContain('slower');
  });
});

test('16-bit activations have biases of 64 bits and free scales', async () => {
  const g = new GraphBuilder(7);
  const x = g.input('x', SHAPE);
  const conv = g.conv('conv', x, 4);
  const model = g.model([g.sum('sum', conv, g.depthwise('depthwise', conv))]);
  const samples = g.samples(3);
  const { model: made } = await quantize(model, samples, { ...INT16, integerOnly: true });
  expect(tensorNamed(made, 'conv/b').type).toBe('INT64');
  expect(paramsOf(tensorNamed(made, 'conv'))[1]).toBe(0);
  const { operators } = made.subgraphs[0]!;
  expect(operators.map(({ op, version }) => `${op} ${version}`)).toEqual([
    'CONV_2D 4',
    'DEPTHWISE_CONV_2D 5',
    'ADD 3',
  ]);
  expect(optionsOf(operators[2]!, 'AddOptions')!.potScaleInt16).toBe(false);
  expect(await signalToNoise(model, made, samples)).toBeGreaterThan(40);
});

test('tensors of one name are told apart', async () => {
  const g = new GraphBuilder(8);
  const x = g.input('x', SHAPE);
  const model = g.model([g.conv('same', g.conv('same', g.conv('', x, 4), 4), 4)]);
  expect(new Set(tensorsToObserve(model)).size).toBe(4);
  const samples = g.samples(3);
  const { model: made } = await quantize(model, samples);
  expectSpecified(made);
  expect(await signalToNoise(model, made, samples)).toBeGreaterThan(25);
});

test('subgraphs that control flow calls stay in float', async () => {
  const inner = new GraphBuilder(1);
  const body = inner.graph([inner.conv('inner', inner.input('i', SHAPE), 4)]);
  const g = new GraphBuilder(2);
  const conv = g.conv('conv', g.input('x', SHAPE), 4);
  const chosen = g.add({ ...value('yes', [], 'BOOL'), data: Uint8Array.of(1) });
  const made = g.make('IF', 'if', [chosen, conv], SHAPE, {
    kind: 'IfOptions',
    thenSubgraphIndex: 1,
    elseSubgraphIndex: 1,
  });
  const model = {
    ...g.model([made]),
    subgraphs: [g.model([made]).subgraphs[0]!, inner.model([]).subgraphs[0]!],
  };
  const whole: TfliteModel = {
    ...model,
    subgraphs: model.subgraphs.with(1, { ...model.subgraphs[1]!, ...body }),
  };
  const samples = g.samples(3);
  const { model: quantized, ops } = await quantize(whole, samples);
  expect(ops.map(({ op, precision }) => `${op} ${precision}`)).toEqual([
    'CONV_2D integer',
    'IF float',
    'CONV_2D float',
  ]);
  expect(ops[1]!.reason).toContain('control flow');
  expect(ops[2]!.reason).toContain('control flow');
  expect(await signalToNoise(whole, quantized, samples)).toBeGreaterThan(25);
});
