import { openOnnx } from '../../../agent/model/onnx/open.ts';
import type { OnnxModel } from '../../../agent/model/onnx/open.ts';
import { tinyModel } from '../../support/tiny-onnx.ts';
import type { TinyModel, TinyNode, TinyTensor } from '../../support/tiny-onnx.ts';

/** Small float models and what different tools make of them, written by hand. */

export const WEIGHTS = Float32Array.of(0.5, -1, 0.25, 0.75);
const scalar = (name: string, value: number): TinyTensor => {
  return { name, shape: [], data: Float32Array.of(value) };
};
const zero = (name: string, value: number): TinyTensor => {
  return { name, type: 'uint8', shape: [], data: Uint8Array.of(value) };
};

export const SHAPE = [1, 2] as const;
const EDGES = {
  inputs: [{ name: 'x', shape: SHAPE }],
  outputs: [{ name: 'y', shape: SHAPE }],
} as const;

const FLOAT_NODES: readonly TinyNode[] = [
  { op: 'MatMul', name: 'product', inputs: ['x', 'w'], outputs: ['p'] },
  { op: 'Relu', name: 'clamp', inputs: ['p'], outputs: ['r'] },
  { op: 'Add', name: 'sum', inputs: ['r', 'x'], outputs: ['y'] },
];

/** y = relu(x w) + x */
export function floatBytes(changes: Partial<TinyModel> = {}): Uint8Array {
  const weights = [{ name: 'w', shape: [2, 2], data: WEIGHTS }];
  return tinyModel({ ...EDGES, nodes: FLOAT_NODES, weights, ...changes });
}

const QUANTIZED_WEIGHTS: readonly TinyTensor[] = [
  { name: 'wq', type: 'int8', shape: [2, 2], data: Int8Array.of(64, -127, 32, 95) },
  scalar('ws', 1 / 127),
  { name: 'wz', type: 'int8', shape: [], data: Int8Array.of(0) },
  scalar('s', 1 / 64),
  zero('z', 128),
  zero('z0', 0),
];

const roundTrip = (from: string, to: string, zeroPoint = 'z'): TinyNode[] => [
  { op: 'QuantizeLinear', inputs: [from, 's', zeroPoint], outputs: [`${to}_q`] },
  { op: 'DequantizeLinear', inputs: [`${to}_q`, 's', zeroPoint], outputs: [to] },
];
const DEQUANTIZED: TinyNode = {
  op: 'DequantizeLinear',
  inputs: ['wq', 'ws', 'wz'],
  outputs: ['wd'],
};

/** QDQ as we write it: what comes out of DequantizeLinear has the name. The Relu is in the range. */
export function oursBytes(): Uint8Array {
  const nodes: TinyNode[] = [
    ...roundTrip('x', 'xd'),
    DEQUANTIZED,
    { op: 'MatMul', name: 'product', inputs: ['xd', 'wd'], outputs: ['raw'] },
    ...roundTrip('raw', 'r', 'z0'),
    { op: 'Add', name: 'sum', inputs: ['r', 'xd'], outputs: ['raw2'] },
    ...roundTrip('raw2', 'y'),
  ];
  return tinyModel({ ...EDGES, nodes, weights: QUANTIZED_WEIGHTS });
}

/** QDQ where the layer's own result keeps the name, and every reader has a DequantizeLinear. */
export function peerBytes(): Uint8Array {
  const nodes: TinyNode[] = [
    ...roundTrip('x', 'x_DequantizeLinear_Output'),
    DEQUANTIZED,
    {
      op: 'MatMul',
      name: 'product',
      inputs: ['x_DequantizeLinear_Output', 'wd'],
      outputs: ['p'],
    },
    { op: 'Relu', name: 'clamp', inputs: ['p'], outputs: ['r'] },
    ...roundTrip('r', 'r_DequantizeLinear_Output', 'z0'),
    {
      op: 'DequantizeLinear',
      inputs: ['r_DequantizeLinear_Output_q', 's', 'z0'],
      outputs: ['r_second'],
    },
    { op: 'Add', name: 'sum', inputs: ['r_second', 'x_DequantizeLinear_Output'], outputs: ['y'] },
  ];
  return tinyModel({ ...EDGES, nodes, weights: QUANTIZED_WEIGHTS });
}

/** Integer ops; the Relu is in the range of the product, which keeps its own name. */
export function qoperatorBytes(): Uint8Array {
  const quantized = ['x_quantized', 's', 'z'];
  const nodes: TinyNode[] = [
    { op: 'QuantizeLinear', inputs: ['x', 's', 'z'], outputs: ['x_quantized'] },
    {
      op: 'QLinearMatMul',
      inputs: [...quantized, 'wq', 'ws', 'wz', 's', 'z0'],
      outputs: ['p_quantized'],
    },
    {
      op: 'QLinearAdd',
      domain: 'com.microsoft',
      inputs: ['p_quantized', 's', 'z0', ...quantized, 's', 'z'],
      outputs: ['y_quantized'],
    },
    { op: 'DequantizeLinear', inputs: ['y_quantized', 's', 'z'], outputs: ['y'] },
  ];
  const domains = { 'com.microsoft': 1 };
  return tinyModel({ ...EDGES, nodes, weights: QUANTIZED_WEIGHTS, domains });
}

export const openBytes = (bytes: Uint8Array): OnnxModel => openOnnx(bytes);
