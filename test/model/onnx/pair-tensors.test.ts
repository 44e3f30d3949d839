import { describe, expect, test } from '@jest/globals';
import { pairTensors } from '../../../agent/model/onnx/pair-tensors.ts';
import { tinyModel } from '../../support/tiny-onnx.ts';
import { floatBytes, openBytes, oursBytes, peerBytes, qoperatorBytes } from './layer-models.ts';

const float = openBytes(floatBytes());

function pairsOf(bytes: Uint8Array) {
  const { pairs, unmatched } = pairTensors(float, openBytes(bytes));
  return {
    pairs: pairs.map(({ tensor, read, integer, madeFrom }) => [tensor, read, integer, madeFrom]),
    unmatched: unmatched.map(({ tensor }) => tensor),
  };
}

describe('what stands for each tensor', () => {
  test('a model and itself', () => {
    expect(pairsOf(floatBytes())).toEqual({
      pairs: [
        ['p', 'p', false, []],
        ['r', 'r', false, ['p']],
        ['y', 'y', false, ['r']],
      ],
      unmatched: [],
    });
  });

  test('QDQ with names behind DequantizeLinear', () => {
    expect(pairsOf(oursBytes())).toEqual({
      pairs: [
        ['r', 'r', true, []],
        ['y', 'y', true, ['r']],
      ],
      unmatched: ['p'],
    });
  });

  test('QDQ with names before QuantizeLinear: the rounded value counts', () => {
    expect(pairsOf(peerBytes())).toEqual({
      pairs: [
        ['p', 'p', true, []],
        ['r', 'r_DequantizeLinear_Output', true, ['p']],
        ['y', 'y', false, ['r']],
      ],
      unmatched: [],
    });
  });

  test('every copy of a rounded value belongs to it', () => {
    const { pairs } = pairTensors(float, openBytes(peerBytes()));
    expect(pairs[1]?.names).toEqual(['r', 'r_DequantizeLinear_Output', 'r_second']);
    expect(pairs[1]?.rounding?.output).toEqual(['r_DequantizeLinear_Output_q']);
  });

  test('integers, which a clamp that is gone is part of', () => {
    const { pairs, unmatched } = pairTensors(float, openBytes(qoperatorBytes()));
    expect(pairs.map(({ tensor, read, integers }) => [tensor, read, integers?.name])).toEqual([
      ['r', null, 'p_quantized'],
      ['y', 'y', 'y_quantized'],
    ]);
    expect(pairs[0]?.integers).toEqual({ name: 'p_quantized', scale: 's', zeroPoint: 'z0' });
    expect(unmatched.map(({ tensor }) => tensor)).toEqual(['p']);
  });
});

test('outputs of other names are paired by position', () => {
  const other = tinyModel({
    inputs: [{ name: 'x', shape: [1, 2] }],
    outputs: [{ name: 'scores', shape: [1, 2] }],
    nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['scores'] }],
  });
  expect(pairsOf(other).pairs).toEqual([['y', 'scores', false, []]]);
});

test('a name that stands for another type is no pair', () => {
  const other = tinyModel({
    inputs: [{ name: 'x', shape: [1, 2] }],
    outputs: [{ name: 'y', shape: [1, 2] }],
    nodes: [
      { op: 'Shape', inputs: ['x'], outputs: ['r'] },
      { op: 'Relu', inputs: ['x'], outputs: ['y'] },
    ],
  });
  expect(pairsOf(other)).toEqual({ pairs: [['y', 'y', false, []]], unmatched: ['p', 'r'] });
});

test('what is computed from constants alone is no layer', () => {
  const folded = floatBytes({
    nodes: [
      { op: 'Neg', inputs: ['w'], outputs: ['p'] },
      { op: 'MatMul', inputs: ['x', 'p'], outputs: ['y'] },
    ],
  });
  const { pairs, unmatched } = pairTensors(openBytes(folded), openBytes(folded));
  expect(pairs.map(({ tensor }) => tensor)).toEqual(['y']);
  expect(unmatched).toEqual([]);
});
