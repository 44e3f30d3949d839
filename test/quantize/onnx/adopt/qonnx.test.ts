import { expect, test } from '@jest/globals';
import type { NodeProto, TensorProto } from '../../../../agent/model/onnx/generated/messages.ts';
import { makeNode } from '../../../../agent/model/onnx/graph.ts';
import type { OnnxModel } from '../../../../agent/model/onnx/open.ts';
import { DataType, floatTensor } from '../../../../agent/model/onnx/tensor.ts';
import { adoptQuantized, runnableForm } from '../../../../agent/quantize/onnx/adopt/adopt.ts';
import { tinyModel } from '../../../support/onnx-models.ts';
import {
  floats,
  kernelsOf,
  randomTensor,
  randomValues,
  randoms,
  run,
  sqnr,
  weights,
} from '../../support.ts';
import { nearest } from '../reference.ts';

const U8 = { activations: 'u8' } as const;
const S8 = { activations: 's8' } as const;
const DOMAIN = 'qonnx.custom_op.general';
const next = randoms(9);

interface Width {
  readonly bits: number;
  readonly signed?: boolean;
  readonly narrow?: boolean;
}

const quant = (from: string, to: string, how: Width & { rounding?: string; op?: string }) =>
  makeNode(how.op ?? 'Quant', [from, 'scale', 'zero', `bits${how.bits}`], [to], {
    domain: DOMAIN,
    attributes: {
      signed: how.signed === false ? 0n : 1n,
      narrow: how.narrow === true ? 1n : 0n,
      rounding_mode: how.rounding ?? 'ROUND',
    },
  });

function model(nodes: readonly NodeProto[], initializers: readonly TensorProto[] = []): OnnxModel {
  const widths = [2, 3, 4, 8, 16, 2.5].map((bits) => floatTensor(`bits${bits}`, bits));
  return tinyModel({
    inputs: { x: [DataType.FLOAT, [1, 2, 4, 4]] },
    outputs: { y: [DataType.FLOAT] },
    initializers: [floatTensor('scale', 0.25), floatTensor('zero', 0), ...widths, ...initializers],
    nodes,
    domains: { [DOMAIN]: 1 },
  });
}

/** The definition of Quant (qonnx, docs/qonnx-custom-ops). */
function quantized(values: Float32Array, { bits, signed = true, narrow = false }: Width) {
  const odd = narrow ? 1 : 0;
  const min = signed ? odd - 2 ** (bits - 1) : 0;
  const max = signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1 - odd;
  return values.map((value) => Math.min(Math.max(nearest(value / 0.25), min), max) * 0.25);
}

const x = randomTensor(next, [1, 2, 4, 4], 50);

test.each<[Width]>([
  [{ bits: 8 }],
  [{ bits: 8, narrow: true }],
  [{ bits: 8, signed: false }],
  [{ bits: 4, signed: false }],
  [{ bits: 4 }],
  [{ bits: 3, narrow: true }],
  [{ bits: 2, signed: false, narrow: true }],
])('activations of %j keep every value', async (width) => {
  const before = model([quant('x', 'y', width)]);
  for (const options of [U8, S8]) {
    const { y } = await run(adoptQuantized(before, options).model, { x });
    expect(floats(y?.data)).toEqual(quantized(floats(x.data), width));
  }
});

test('4-bit weights with 4-bit activations run in integer kernels', async () => {
  const [w, v] = [randomValues(next, 16, 2), randomValues(next, 36, 2)];
  const bias = Float32Array.of(0.111, -0.222);
  const nodes = (weight: (from: string, to: string) => NodeProto[], act: typeof weight) => [
    ...act('x', 'x1'),
    ...weight('w', 'w1'),
    makeNode('Conv', ['x1', 'w1', 'bias'], ['conv']),
    makeNode('Relu', ['conv'], ['rectified']),
    ...act('rectified', 'a'),
    ...weight('v', 'v1'),
    makeNode('Conv', ['a', 'v1'], ['deep']),
    makeNode('Relu', ['deep'], ['y0']),
    ...act('y0', 'y'),
  ];
  const constants = [
    weights('w', [2, 2, 2, 2], w),
    weights('v', [2, 2, 3, 3], v),
    weights('bias', [2], bias),
  ];
  const before = model(
    nodes(
      (from, to) => [quant(from, to, { bits: 4, narrow: true })],
      (from, to) => [quant(from, to, { bits: 4, signed: false })],
    ),
    constants,
  );
  // The same in float: Quant as its definition says.
  const plain = (low: number, high: number) => (from: string, to: string) => [
    makeNode('Div', [from, 'scale'], [`${to}_a`]),
    makeNode('Round', [`${to}_a`], [`${to}_b`]),
    makeNode('Clip', [`${to}_b`, `end${low}`, `end${high}`], [`${to}_c`]),
    makeNode('Mul', [`${to}_c`, 'scale'], [to]),
  ];
  const ends = [-7, 7, 0, 15].map((end) => floatTensor(`end${end}`, end));
  const reference = model(nodes(plain(-7, 7), plain(0, 15)), [...constants, ...ends]);
  const { model: after, kind } = adoptQuantized(before, U8);
  expect(kind).toBe('qonnx');
  const image = randomTensor(next, [1, 2, 4, 4], 3);
  const [expected, got] = [await run(reference, { x: image }), await run(after, { x: image })];
  expect(sqnr(floats(expected['y']?.data), floats(got['y']?.data))).toBeGreaterThan(40);
  const kernels = await kernelsOf(after, { x: image });
  expect(kernels.filter((op) => op === 'QLinearConv')).toHaveLength(2);
  const direct = await run(runnableForm(before, U8), { x: image }, 'disabled');
  expect(floats(direct['y']?.data)).toEqual(floats(expected['y']?.data));
});

test.each([
  [
    '16 bits',
    quant('x', 'y', { bits: 16 }),
    '16 bits; integer kernels take whole widths from 1 to 8',
  ],
  ['half a bit', quant('x', 'y', { bits: 2.5 }), '2.5 bits'],
  ['another rounding', quant('x', 'y', { bits: 8, rounding: 'CEIL' }), 'it rounds by CEIL'],
  ['signs of activations', quant('x', 'y', { bits: 8, op: 'BipolarQuant' }), 'keeps signs only'],
  ['thresholds', quant('x', 'y', { bits: 8, op: 'MultiThreshold' }), 'has no such operator'],
  [
    'a computed scale',
    makeNode('Quant', ['x', 'x', 'zero', 'bits8'], ['y'], { domain: DOMAIN }),
    'its scale is not a constant',
  ],
])('%s: refused with the reason', (_, node, why) => {
  expect(() => adoptQuantized(model([node]), U8)).toThrow(why);
  expect(() => adoptQuantized(model([node]), U8)).toThrow(/cannot be converted/);
});

test('signs of constants are -1 and 1 times the scale', async () => {
  const nodes = [
    makeNode('BipolarQuant', ['w', 'scale'], ['w1'], { domain: DOMAIN }),
    makeNode('Mul', ['x', 'w1'], ['y']),
  ];
  const before = model(nodes, [weights('w', [2, 1, 1], [-0.1, 0])]);
  const ones = { ...x, data: new Float32Array(32).fill(1) };
  const { y } = await run(adoptQuantized(before, U8).model, { x: ones });
  const data = [...floats(y?.data)];
  expect([data[0], data[16]]).toEqual([-0.25, 0.25]);
});
