import { describe, expect, test } from '@jest/globals';
import type { Scheme } from '../../../agent/contracts/scheme.ts';
import type { NodeProto, TensorProto } from '../../../agent/model/onnx/generated/messages.ts';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import type { AttributeValue } from '../../../agent/model/onnx/graph.ts';
import type { OnnxModel } from '../../../agent/model/onnx/open.ts';
import type { Statistics } from '../../../agent/model/statistics.ts';
import { affineParams } from '../../../agent/quantize/arithmetic.ts';
import type { QuantParams } from '../../../agent/quantize/arithmetic.ts';
import { quantizeStatic } from '../../../agent/quantize/onnx/static.ts';
import type { Tensor } from '../../../agent/runtime/types.ts';
import { tinyModel } from '../../support/onnx-models.ts';
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
  weights,
} from '../support.ts';
import {
  SATURATES,
  conv,
  floatProduct,
  integerLayer,
  product,
  quantity,
  steps,
} from './reference.ts';
import type { ConvShape, IntegerLayer } from './reference.ts';

/** Activation type, weights per channel, 7-bit weights. */
const SCHEMES = (['u8', 's8'] as const).flatMap((activations) =>
  [true, false].flatMap((perChannel) =>
    (SATURATES ? [true] : [false, true]).map((reduceRange) => {
      const scheme: Scheme = { ...STATIC, activations, perChannel, reduceRange };
      return [
        `${activations}, per ${perChannel ? 'channel' : 'tensor'}, ${reduceRange ? 7 : 8} bits`,
        scheme,
      ] as const;
    }),
  ),
);

function paramsOf(statistics: Statistics, name: string, { activations }: Scheme): QuantParams {
  const { min, max } = statistics.tensors.get(name)!;
  return affineParams(min, max, activations ?? 'u8');
}

/** Without channel means: a corrected bias is another test's matter. */
async function observed(model: OnnxModel, x: Tensor): Promise<Statistics> {
  const found = await observe(model, [{ x }]);
  return ranges(
    Object.fromEntries([...found.tensors].map(([name, { min, max }]) => [name, [min, max]])),
  );
}

interface ConvCase extends ConvShape {
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly bias?: false;
}

const CONVS: Readonly<Record<string, ConvCase>> = {
  'of 3 x 3': { x: [1, 3, 6, 5], w: [4, 3, 3, 3], pads: [1, 1, 1, 1] },
  'without a bias': { x: [2, 3, 5, 5], w: [4, 3, 2, 2], bias: false },
  'with strides and uneven pads': {
    x: [1, 2, 7, 6],
    w: [3, 2, 3, 3],
    strides: [2, 3],
    pads: [0, 1, 1, 2],
  },
  'with dilations': { x: [1, 2, 7, 7], w: [3, 2, 3, 3], dilations: [2, 1] },
  'of two groups': { x: [1, 4, 5, 5], w: [6, 2, 3, 3], groups: 2, pads: [1, 1, 1, 1] },
  'of one channel a group': { x: [1, 8, 5, 5], w: [8, 1, 3, 3], groups: 8, pads: [1, 1, 1, 1] },
  'of two filters a channel': { x: [1, 4, 5, 5], w: [8, 1, 3, 3], groups: 4, strides: [2, 2] },
  'of points': { x: [1, 16, 4, 4], w: [8, 16, 1, 1] },
  'to one channel': { x: [1, 3, 4, 4], w: [1, 3, 3, 3] },
  'along one axis': { x: [1, 3, 12], w: [4, 3, 5], strides: [1, 2], pads: [0, 2, 0, 2] },
};

const ints = (values: readonly number[]) => values.map(BigInt);

function convAttributes(one: ConvCase): Record<string, AttributeValue> {
  const axes = one.x.length - 2;
  const lastOf = (values: readonly number[]) => values.slice(values.length - axes);
  const pads = one.pads ?? [0, 0, 0, 0];
  return {
    group: BigInt(one.groups ?? 1),
    strides: ints(lastOf(one.strides ?? [1, 1])),
    dilations: ints(lastOf(one.dilations ?? [1, 1])),
    pads: ints([...lastOf(pads.slice(0, 2)), ...lastOf(pads.slice(2))]),
  };
}

/** A row of height 1 before the last axis, where there is only one axis. */
const inPlane = (dims: readonly number[]) =>
  dims.length === 3 ? [...dims.slice(0, 2), 1, ...dims.slice(2)] : dims;

describe.each(SCHEMES)('convolutions in %s', (_, scheme) => {
  test.each(Object.entries(CONVS))('%s', async (name, one) => {
    const next = randoms(name.length);
    const w = randomValues(next, sizeOf(one.w));
    const bias = one.bias === false ? undefined : randomValues(next, one.w[0]!, 2);
    const x = randomTensor(next, one.x, 3);
    const model = tinyModel({
      inputs: { x: [1, one.x] },
      outputs: { y: [1] },
      initializers: [
        weights('w', one.w, w),
        ...(bias === undefined ? [] : [weights('b', [bias.length], bias)]),
      ],
      nodes: [
        makeNode('Conv', ['x', 'w', ...(bias === undefined ? [] : ['b'])], ['y'], {
          attributes: convAttributes(one),
        }),
      ],
    });
    const statistics = await observed(model, x);
    const made = quantizeStatic(model, statistics, scheme);
    const [xp, yp] = [paramsOf(statistics, 'x', scheme), paramsOf(statistics, 'y', scheme)];
    const layer = integerLayer(w, inPlane(one.w), bias, xp.scale, scheme);
    const expected = conv(quantity(floats(x.data), inPlane(one.x), xp), layer, yp, one);
    const { y } = await run(made.model, { x });
    expect(steps(expected, floats(y!.data))).toBe(0);
    expect(made.ops).toEqual([{ node: 'y', op: 'Conv', precision: 'integer' }]);
    expect(await kernelsOf(made.model, { x })).toContain('QLinearConv');
  });
});

interface ProductCase {
  readonly x: readonly number[];
  /** [out, in]; stored as the op wants it. */
  readonly w: readonly [number, number];
  readonly op: 'Gemm' | 'MatMul';
  readonly transB?: boolean;
  /** Shape of the bias. */
  readonly bias?: readonly number[];
}

const PRODUCTS: Readonly<Record<string, ProductCase>> = {
  'Gemm with a bias': { x: [3, 8], w: [5, 8], op: 'Gemm', bias: [5] },
  'Gemm without a bias': { x: [3, 8], w: [5, 8], op: 'Gemm' },
  'Gemm with transposed weights': { x: [2, 7], w: [4, 7], op: 'Gemm', transB: true, bias: [4] },
  'Gemm with transposed weights alone': { x: [2, 7], w: [4, 7], op: 'Gemm', transB: true },
  'Gemm with a bias row': { x: [3, 8], w: [5, 8], op: 'Gemm', bias: [1, 5] },
  'Gemm with one bias for all': { x: [3, 8], w: [5, 8], op: 'Gemm', bias: [] },
  'Gemm with one bias for all in a matrix': { x: [3, 8], w: [5, 8], op: 'Gemm', bias: [1, 1] },
  'Gemm to one column': { x: [3, 8], w: [1, 8], op: 'Gemm', bias: [1] },
  MatMul: { x: [3, 8], w: [5, 8], op: 'MatMul' },
  'MatMul of a batch': { x: [2, 3, 8], w: [5, 8], op: 'MatMul' },
  'MatMul to one column': { x: [2, 3, 8], w: [1, 8], op: 'MatMul' },
};

function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  return values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);
}

/** x -> product -> p -> product -> z, or x -> product -> p alone; the outputs are as given. */
function productModel(one: ProductCase, seed: number, ...outputs: readonly ('p' | 'z')[]) {
  const next = randoms(seed);
  const [out, inner] = one.w;
  const w = randomValues(next, out * inner);
  const bias = one.bias === undefined ? undefined : randomValues(next, sizeOf(one.bias), 2);
  const stored = one.transB === true ? w : transposed(w, out, inner);
  // Exporters write factors of 1, which the integer kernel has no attributes for.
  const factors = { alpha: 1, beta: 1, transB: one.transB === true ? 1n : 0n };
  const attributes = one.op === 'Gemm' ? factors : {};
  const initializers: TensorProto[] = [
    weights('w', one.transB === true ? [out, inner] : [inner, out], stored),
    weights('w2', [out, 2], randomValues(next, out * 2)),
  ];
  if (bias !== undefined) initializers.push(weights('b', one.bias!, bias));
  const input = ['x', 'w', ...(bias === undefined ? [] : ['b'])];
  const nodes: NodeProto[] = [makeNode(one.op, input, ['p'], { attributes })];
  if (outputs.includes('z')) nodes.push(makeNode('MatMul', ['p', 'w2'], ['z']));
  const model = tinyModel({
    inputs: { x: [1, one.x] },
    outputs: Object.fromEntries(outputs.map((name) => [name, [1]])),
    initializers,
    nodes,
  });
  const rows = bias && Float32Array.from({ length: out }, (_, c) => bias[c % bias.length]!);
  return { model, w, bias: rows, x: randomTensor(next, one.x, 3) };
}

const KERNELS = {
  Gemm: { quantized: 'QGemm', float: 'QGemm' },
  MatMul: { quantized: 'QLinearMatMul', float: 'MatMulIntegerToFloat' },
};

describe.each(SCHEMES)('matrix products in %s', (_, scheme) => {
  test.each(Object.entries(PRODUCTS))('%s', async (name, one) => {
    const { model, w, bias, x } = productModel(one, name.length, 'p', 'z');
    const statistics = await observed(model, x);
    const { model: made } = quantizeStatic(model, statistics, scheme);
    const [xp, pp] = [paramsOf(statistics, 'x', scheme), paramsOf(statistics, 'p', scheme)];
    const layer: IntegerLayer = integerLayer(w, one.w, bias, xp.scale, scheme);
    const expected = product(quantity(floats(x.data), one.x, xp), layer, pp);
    const { p } = await run(made, { x });
    expect(steps(expected, floats(p!.data))).toBe(0);
    // Without p as an output: on x86, onnxruntime leaves int8 tensors with two readers in float.
    const { model: inner } = productModel(one, name.length, 'z');
    const { model: plain } = quantizeStatic(inner, statistics, scheme);
    expect(await kernelsOf(plain, { x })).toContain(KERNELS[one.op].quantized);
  });

  test.each(Object.entries(PRODUCTS))('%s, handed on in float', async (name, one) => {
    const { model, w, bias, x } = productModel(one, name.length, 'p');
    const statistics = await observed(model, x);
    const { model: made } = quantizeStatic(model, statistics, scheme);
    const xp = paramsOf(statistics, 'x', scheme);
    const layer = integerLayer(w, one.w, bias, xp.scale, scheme);
    const expected = floatProduct(quantity(floats(x.data), one.x, xp), layer);
    const { p } = await run(made, { x });
    expect(relativeError(expected, floats(p!.data))).toBeLessThan(1e-6);
    const kernels = await kernelsOf(made, { x });
    expect(kernels).toEqual([KERNELS[one.op].float, 'QuantizeLinear'].toSorted());
  });
});
