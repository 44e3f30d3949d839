import { readFileSync } from 'node:fs';
import type { QuantParams } from '../../../agent/quantize/arithmetic.ts';

/*
 * What integer kernels should compute, written down directly: int32 sums of products, then one
 * float32 multiplication and rounding half to even (onnx docs, QLinearConv and QLinearMatMul).
 */

/** Whether 8-bit weights saturate here: x86 adds products in 16 bits unless it has VNNI. */
export const SATURATES =
  process.arch === 'x64' && !/vnni/.test(readFileSync('/proc/cpuinfo', 'utf8'));

/** Quantized values and what they stand for. */
export interface Quantity {
  readonly q: Int32Array;
  readonly shape: readonly number[];
  readonly params: QuantParams;
}

const LIMITS = { u8: [0, 255], s8: [-128, 127], s16: [-32768, 32767] } as const;

/** IEEE rounding, by the trick of adding 2^52 and taking it away again. */
export function nearest(value: number): number {
  const big = value < 0 ? -(2 ** 52) : 2 ** 52;
  return Math.abs(value) >= 2 ** 52 ? value : value + big - big;
}

export function toStored(value: number, { type, scale, zeroPoint }: QuantParams): number {
  const [min, max] = LIMITS[type];
  return Math.min(Math.max(nearest(Math.fround(value / scale)) + zeroPoint, min), max);
}

export function quantity(
  values: Float32Array,
  shape: readonly number[],
  params: QuantParams,
): Quantity {
  return { q: Int32Array.from(values, (value) => toStored(value, params)), shape, params };
}

export function real({ q, params }: Quantity): Float32Array {
  return Float32Array.from(q, (value) => Math.fround((value - params.zeroPoint) * params.scale));
}

/** int8 weights of one output channel each, and their int32 biases. */
export interface IntegerLayer {
  /** [out, in / groups, ...kernel] or [out, in]. */
  readonly weights: Int32Array;
  readonly dims: readonly number[];
  /** One per output channel. */
  readonly scales: Float32Array;
  readonly bias: Int32Array;
}

/** Symmetric quantization of [out, ...] weights. */
export function integerLayer(
  values: Float32Array,
  dims: readonly number[],
  bias: Float32Array | undefined,
  inputScale: number,
  { perChannel, reduceRange }: { readonly perChannel: boolean; readonly reduceRange: boolean },
): IntegerLayer {
  const out = dims[0]!;
  const per = values.length / out;
  const largest = (from: number, to: number) =>
    values.subarray(from, to).reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const limit = reduceRange ? 64 : 127;
  const scales = Float32Array.from({ length: out }, (_, c) =>
    perChannel ? largest(c * per, (c + 1) * per) / limit : largest(0, values.length) / limit,
  );
  const weights = Int32Array.from(values, (value, i) =>
    nearest(Math.fround(value / scales[Math.floor(i / per)]!)),
  );
  const biases = Int32Array.from({ length: out }, (_, c) =>
    nearest((bias?.[c] ?? 0) / Math.fround(inputScale * scales[c]!)),
  );
  return { weights, dims, scales, bias: biases };
}

/** An int32 sum to the output type. */
function requantize(sum: number, weightScale: number, x: QuantParams, y: QuantParams): number {
  const multiplier = Math.fround(Math.fround(x.scale * weightScale) / y.scale);
  const [min, max] = LIMITS[y.type];
  const rounded = nearest(Math.fround(Math.fround(sum) * multiplier));
  return Math.min(Math.max(rounded + y.zeroPoint, min), max);
}

export interface ConvShape {
  readonly groups?: number;
  readonly strides?: readonly number[];
  /** Begins, then ends. */
  readonly pads?: readonly number[];
  readonly dilations?: readonly number[];
}

/** Two spatial axes; one axis has its height as 1. */
export function conv(x: Quantity, layer: IntegerLayer, y: QuantParams, how: ConvShape): Quantity {
  const [n, c, h, w] = x.shape as [number, number, number, number];
  const [out, perGroup, kh, kw] = layer.dims as [number, number, number, number];
  const { groups = 1, strides = [1, 1], pads = [0, 0, 0, 0], dilations = [1, 1] } = how;
  const length = (axis: 0 | 1, size: number, kernel: number) =>
    Math.floor(
      (size + pads[axis]! + pads[axis + 2]! - dilations[axis]! * (kernel - 1) - 1) / strides[axis]!,
    ) + 1;
  const [oh, ow] = [length(0, h, kh), length(1, w, kw)];
  const q = new Int32Array(n * out * oh * ow);
  let at = 0;
  for (let b = 0; b < n; b++)
    for (let o = 0; o < out; o++)
      for (let i = 0; i < oh; i++)
        for (let j = 0; j < ow; j++) {
          let sum = layer.bias[o]!;
          for (let k = 0; k < perGroup; k++)
            for (let u = 0; u < kh; u++)
              for (let v = 0; v < kw; v++) {
                const row = i * strides[0]! + u * dilations[0]! - pads[0]!;
                const column = j * strides[1]! + v * dilations[1]! - pads[1]!;
                // Padding is the real value 0.
                if (row < 0 || row >= h || column < 0 || column >= w) continue;
                const channel = Math.floor((o * groups) / out) * perGroup + k;
                const value = x.q[((b * c + channel) * h + row) * w + column]!;
                const weight = layer.weights[((o * perGroup + k) * kh + u) * kw + v]!;
                sum += (value - x.params.zeroPoint) * weight;
              }
          q[at++] = requantize(sum, layer.scales[o]!, x.params, y);
        }
  return { q, shape: [n, out, oh, ow], params: y };
}

/** Sums of rows of x [..., in] and weights [out, in], with what they stand for. */
function products(x: Quantity, layer: IntegerLayer, use: (sum: number, column: number) => void) {
  const [out, inner] = layer.dims as [number, number];
  for (let row = 0; row < x.q.length / inner; row++)
    for (let o = 0; o < out; o++) {
      let sum = layer.bias[o]!;
      for (let k = 0; k < inner; k++)
        sum += (x.q[row * inner + k]! - x.params.zeroPoint) * layer.weights[o * inner + k]!;
      use(sum, o);
    }
}

export function product(x: Quantity, layer: IntegerLayer, y: QuantParams): Quantity {
  const q: number[] = [];
  products(x, layer, (sum, o) => q.push(requantize(sum, layer.scales[o]!, x.params, y)));
  return { q: Int32Array.from(q), shape: [...x.shape.slice(0, -1), layer.dims[0]!], params: y };
}

/** The same, handed on in float. */
export function floatProduct(x: Quantity, layer: IntegerLayer): Float32Array {
  const values: number[] = [];
  products(x, layer, (sum, o) => values.push(sum * Math.fround(x.params.scale * layer.scales[o]!)));
  return Float32Array.from(values);
}

/** The largest difference of stored values. */
export function steps(expected: Quantity, got: Float32Array): number {
  if (expected.q.length !== got.length) return Infinity;
  let worst = 0;
  got.forEach((value, i) => {
    worst = Math.max(worst, Math.abs(toStored(value, expected.params) - expected.q[i]!));
  });
  return worst;
}
