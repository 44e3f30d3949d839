import type { Engine } from './kernels.js';

export interface ConvShape {
  readonly input: number;
  readonly out: number;
  readonly kernel: 1 | 3;
  readonly size: number;
  readonly batch: number;
}

export interface Conv {
  readonly parameters: readonly { readonly value: Float32Array; readonly gradient: Float32Array }[];
  forward(images: Float32Array): Float32Array;
  backward(dy: Float32Array): Float32Array | null;
}

export function createConv(engine: Engine, shape: ConvShape, weights: Float32Array): Conv;
