import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import type { NodeProto } from '../../../agent/model/onnx/generated/messages.ts';
import { allNodes, makeNode, subgraphsOf } from '../../../agent/model/onnx/graph.ts';
import type { NodeOptions } from '../../../agent/model/onnx/graph.ts';
import { openOnnx } from '../../../agent/model/onnx/open.ts';
import { DataType, floatTensor, makeTensor } from '../../../agent/model/onnx/tensor.ts';
import { inferTypes } from '../../../agent/model/onnx/types.ts';
import { corpusOnnx, describeWithCorpus } from '../../support/corpus.ts';
import { tinyGraph, tinyModel } from '../../support/onnx-models.ts';

const { FLOAT, FLOAT16, UINT8, INT8, INT32, INT64, BOOL, DOUBLE, STRING } = DataType;
type Types = readonly (number | undefined)[];

/** The output types of one node; its inputs are called `i0`, `i1`, ... */
function outputsOf(
  op: string,
  inputs: Types,
  outputs: number,
  options: NodeOptions = {},
  opset = 17,
): Types {
  const names = inputs.map((type, index) => (type === undefined ? '' : `i${index}`));
  const made = Array.from({ length: outputs }, (_, index) => `o${index}`);
  const given = inputs.flatMap((type, index) =>
    type === undefined ? [] : [[`i${index}`, [type]] as const],
  );
  const model = tinyModel({
    inputs: Object.fromEntries(given),
    outputs: {},
    nodes: [makeNode(op, names, made, options)],
    opset,
  });
  const types = inferTypes(model);
  return made.map((name) => types.get(name));
}

const zeroPoint = (dataType: number) => makeTensor('zp', dataType, [], new Uint8Array(1));

const CASES: readonly (readonly [string, Types, Types, NodeOptions?, number?])[] = [
  ['Relu', [FLOAT16], [FLOAT16]],
  ['Concat', [INT64, INT64], [INT64]],
  ['Split', [DOUBLE], [DOUBLE, DOUBLE]],
  ['Cast', [FLOAT], [INT32], { attributes: { to: BigInt(INT32) } }],
  ['CastLike', [FLOAT, INT8], [INT8]],
  ['Shape', [FLOAT], [INT64]],
  ['ArgMax', [FLOAT], [INT64]],
  ['NonMaxSuppression', [FLOAT, FLOAT], [INT64]],
  ['Equal', [INT64, INT64], [BOOL]],
  ['IsNaN', [FLOAT], [BOOL]],
  ['Where', [BOOL, FLOAT, FLOAT], [FLOAT]],
  ['Gather', [FLOAT, INT64], [FLOAT]],
  ['OneHot', [INT64, INT64, FLOAT], [FLOAT]],
  ['TopK', [FLOAT, INT64], [FLOAT, INT64]],
  ['MaxPool', [INT8], [INT8, INT64]],
  ['Unique', [FLOAT], [FLOAT, INT64, INT64, INT64]],
  ['Dropout', [FLOAT], [FLOAT, BOOL]],
  ['Dropout', [FLOAT], [FLOAT, FLOAT], {}, 7],
  [
    'Constant',
    [],
    [FLOAT16],
    { attributes: { value: makeTensor('', FLOAT16, [], new Uint16Array(1)) } },
  ],
  ['Constant', [], [FLOAT], { attributes: { value_float: 1.5 } }],
  ['Constant', [], [INT64], { attributes: { value_ints: [1n, 2n] } }],
  ['Constant', [], [STRING], { attributes: { value_string: 'a' } }],
  ['ConstantOfShape', [INT64], [FLOAT]],
  ['ConstantOfShape', [INT64], [INT8], { attributes: { value: zeroPoint(INT8) } }],
  ['Range', [INT32, INT32, INT32], [INT32]],
  ['EyeLike', [INT32], [INT32]],
  ['EyeLike', [INT32], [FLOAT], { attributes: { dtype: BigInt(FLOAT) } }],
  ['RandomNormal', [], [FLOAT]],
  ['RandomNormalLike', [FLOAT16], [FLOAT16]],
  ['QuantizeLinear', [FLOAT, FLOAT], [UINT8]],
  ['QuantizeLinear', [FLOAT, FLOAT, INT8], [INT8]],
  ['QuantizeLinear', [FLOAT, FLOAT], [INT8], { attributes: { output_dtype: BigInt(INT8) } }, 21],
  ['DequantizeLinear', [INT8, FLOAT16, INT8], [FLOAT16]],
  ['DynamicQuantizeLinear', [FLOAT], [UINT8, FLOAT, UINT8]],
  ['QLinearConv', [UINT8, FLOAT, UINT8, INT8, FLOAT, INT8, FLOAT, INT8, INT32], [INT8]],
  ['QLinearMatMul', [UINT8, FLOAT, UINT8, INT8, FLOAT, INT8, FLOAT, UINT8], [UINT8]],
  ['MatMulInteger', [UINT8, INT8], [INT32]],
  ['ConvInteger', [UINT8, INT8], [INT32]],
  ['LSTM', [FLOAT, FLOAT, FLOAT], [FLOAT, FLOAT, FLOAT]],
  ['LayerNormalization', [FLOAT16, FLOAT16], [FLOAT16, FLOAT, FLOAT]],
  ['SequenceConstruct', [FLOAT], [undefined]],
  ['SequenceLength', [FLOAT], [INT64]],
  ['QLinearAdd', [INT8, FLOAT, INT8], [INT8], { domain: 'com.microsoft' }],
  ['QLinearConcat', [FLOAT, INT8, INT8], [INT8], { domain: 'com.microsoft' }],
  ['QGemm', [UINT8, FLOAT, UINT8, INT8, FLOAT, INT8], [FLOAT], { domain: 'com.microsoft' }],
  ['MatMulIntegerToFloat', [UINT8, INT8, FLOAT], [FLOAT], { domain: 'com.microsoft' }],
  ['DynamicQuantizeMatMul', [FLOAT, INT8], [FLOAT], { domain: 'com.microsoft' }],
  ['MatMulNBits', [FLOAT, UINT8, FLOAT], [FLOAT], { domain: 'com.microsoft' }],
  [
    'SkipLayerNormalization',
    [FLOAT16],
    [FLOAT16, FLOAT, FLOAT, FLOAT16],
    { domain: 'com.microsoft' },
  ],
  [
    'EmbedLayerNormalization',
    [INT32, undefined, FLOAT],
    [FLOAT, INT32],
    { domain: 'com.microsoft' },
  ],
  ['Mystery', [FLOAT], [undefined], { domain: 'org.example' }],
];

test.each(CASES)('%s of %j makes %j', (...row) => {
  const [op, inputs, outputs, options, opset] = row;
  expect(outputsOf(op, inputs, outputs.length, options, opset)).toEqual(outputs);
});

test('what an unknown op makes is what the file says', () => {
  const types = inferTypes(
    tinyModel({
      inputs: { x: [FLOAT] },
      outputs: { y: [INT8] },
      nodes: [
        makeNode('Mystery', ['x'], ['m'], { domain: 'org.example' }),
        makeNode('Relu', ['m'], ['y']),
      ],
      valueInfo: { m: [INT8] },
    }),
  );
  expect([types.get('m'), types.get('y'), types.get('nothing')]).toEqual([INT8, INT8, undefined]);
  expect(types.contradictions).toEqual([]);
});

test('inference goes before what the file says, and tells', () => {
  const types = inferTypes(
    tinyModel({
      inputs: { x: [FLOAT] },
      outputs: { y: [INT64] },
      nodes: [makeNode('Relu', ['x'], ['y'])],
    }),
  );
  expect(types.get('y')).toBe(FLOAT);
  expect(types.contradictions).toEqual([{ tensor: 'y', inferred: FLOAT, declared: INT64 }]);
});

test('branches see outer names, and may use the same names for other types', () => {
  const branch = (to: number) =>
    tinyGraph({
      outputs: { out: [FLOAT] },
      nodes: [
        makeNode('Cast', ['x'], ['local'], { attributes: { to: BigInt(to) } }),
        makeNode('Cast', ['local'], ['out'], { attributes: { to: BigInt(FLOAT) } }),
      ],
    });
  const model = tinyModel({
    inputs: { flag: [BOOL, []], x: [DOUBLE] },
    outputs: { y: [FLOAT] },
    nodes: [
      makeNode('If', ['flag'], ['y'], {
        attributes: { then_branch: branch(INT8), else_branch: branch(INT32) },
      }),
    ],
  });
  const types = inferTypes(model);
  const bodies = model.graph.node.flatMap(subgraphsOf).map(types.inside);
  expect(types.get('y')).toBe(FLOAT);
  expect(types.get('local')).toBeUndefined();
  expect(bodies.map((typeOf) => [typeOf('x'), typeOf('local')])).toEqual([
    [DOUBLE, INT8],
    [DOUBLE, INT32],
  ]);
});

test('a Loop hands types to its body and takes them back', () => {
  const body = tinyGraph({
    inputs: { i: [INT64, []], go: [BOOL, []], state: [FLOAT] },
    outputs: { keep: [BOOL], next: [FLOAT], scanned: [INT64] },
    nodes: [
      makeNode('Identity', ['go'], ['keep']),
      makeNode('Add', ['state', 'w'], ['next']),
      makeNode('Identity', ['i'], ['scanned']),
    ],
  });
  const model = tinyModel({
    inputs: { n: [INT64, []], yes: [BOOL, []] },
    outputs: { last: [FLOAT], all: [INT64] },
    initializers: [floatTensor('w', [1])],
    nodes: [makeNode('Loop', ['n', 'yes', 'w'], ['last', 'all'], { attributes: { body } })],
  });
  const types = inferTypes(model);
  expect([types.get('last'), types.get('all')]).toEqual([FLOAT, INT64]);
  expect(types.contradictions).toEqual([]);
});

test('a Scan hands types to its body in order', () => {
  const body = tinyGraph({
    inputs: { sum: [FLOAT], element: [FLOAT] },
    outputs: { next: [FLOAT], big: [BOOL] },
    nodes: [
      makeNode('Add', ['sum', 'element'], ['next']),
      makeNode('Greater', ['element', 'sum'], ['big']),
    ],
  });
  const model = tinyModel({
    inputs: { s: [FLOAT], xs: [FLOAT] },
    outputs: { total: [FLOAT], bigs: [BOOL] },
    nodes: [
      makeNode('Scan', ['s', 'xs'], ['total', 'bigs'], {
        attributes: { body, num_scan_inputs: 1n },
      }),
    ],
  });
  const types = inferTypes(model);
  expect([types.get('total'), types.get('bigs')]).toEqual([FLOAT, BOOL]);
});

const isForeign = ({ domain = '' }: NodeProto) => domain !== '' && domain !== 'com.microsoft';

describeWithCorpus('the shared corpus', () => {
  test.each(corpusOnnx('models', 'models/others'))('%s: every type is known', (_, path) => {
    const model = openOnnx(readFileSync(path));
    const types = inferTypes(model);
    expect(types.contradictions).toEqual([]);
    // What ops of other domains make, and all that follows from it, nobody can know.
    const nodes = [...allNodes(model.graph)].some(isForeign) ? [] : model.graph.node;
    const made = nodes.flatMap(({ output }) => output).filter((name) => name !== '');
    expect(made.filter((name) => types.get(name) === undefined)).toEqual([]);
  });
});
