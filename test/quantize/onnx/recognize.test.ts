import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { openOnnx } from '../../../agent/model/onnx/open.ts';
import { isQuantized } from '../../../agent/quantize/onnx/recognize.ts';
import { corpusOnnx, describeWithCorpus } from '../../support/corpus.ts';
import { tinyGraph, tinyModel } from '../../support/onnx-models.ts';

const madeOf = (opType: string, domain = '') =>
  tinyModel({
    inputs: { x: [1, [2]] },
    outputs: { y: [1] },
    nodes: [makeNode(opType, ['x'], ['y'], { domain })],
  });

test.each([
  ['QuantizeLinear', ''],
  ['DequantizeLinear', 'ai.onnx'],
  ['DynamicQuantizeLinear', ''],
  ['QLinearConv', ''],
  ['MatMulInteger', ''],
  ['ConvInteger', ''],
  ['QGemm', 'com.microsoft'],
  ['QLinearAdd', 'com.microsoft'],
  ['QAttention', 'com.microsoft'],
  ['DynamicQuantizeLSTM', 'com.microsoft'],
  ['MatMulNBits', 'com.microsoft'],
  ['MatMulBnb4', 'com.microsoft'],
  ['MatMulIntegerToFloat', 'com.microsoft'],
  ['GatherBlockQuantized', 'com.microsoft'],
  ['DequantizeLinear', 'com.microsoft'],
  ['Quant', 'qonnx.custom_op.general'],
  ['BipolarQuant', 'onnx.brevitas'],
  ['FakeQuantize', 'org.openvinotoolkit'],
])('%s of %j is quantized', (op, domain) => {
  expect(isQuantized(madeOf(op, domain))).toBe(true);
});

test.each([
  ['Conv', ''],
  ['Quantity', ''],
  ['QuickGelu', 'com.microsoft'],
  ['FusedMatMul', 'com.microsoft'],
  ['Quant', ''],
])('%s of %j is not', (op, domain) => {
  expect(isQuantized(madeOf(op, domain))).toBe(false);
});

test('a body counts', () => {
  const body = tinyGraph({
    outputs: { t: [1] },
    nodes: [makeNode('QuantizeLinear', ['x'], ['t'])],
  });
  const model = tinyModel({
    outputs: { y: [1] },
    nodes: [
      makeNode('If', ['go'], ['y'], { attributes: { then_branch: body, else_branch: body } }),
    ],
  });
  expect(isQuantized(model)).toBe(true);
});

const QUANTIZED = /qdq|qop|dynint8|qonnx|qat_pytorch_fakequant|finn_tfc_build_dataflow/;

describeWithCorpus('real models', () => {
  test.each(corpusOnnx('models', 'models/others'))('%s', (name, path) => {
    const model = openOnnx(readFileSync(path), ({ length }) => new Uint8Array(length));
    expect(isQuantized(model)).toBe(QUANTIZED.test(name));
  });
});

describe('names', () => {
  test('of nodes do not matter', () => {
    const model = tinyModel({
      inputs: { QuantizeLinear: [1, [2]] },
      outputs: { y: [1] },
      nodes: [makeNode('Relu', ['QuantizeLinear'], ['y'], { name: 'QLinearConv' })],
    });
    expect(isQuantized(model)).toBe(false);
  });
});
