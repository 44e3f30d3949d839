import type { Kernel, Operand } from './profile.ts';

/*
 * How many multiply-accumulates a kernel makes, from the shapes of its operands alone: a profile has
 * no attributes. Ops that are not in the table make none that count (element-wise, pooling, moving).
 */

type Counter = (kernel: Kernel) => number;

interface OpCost {
  /** The op it is a fused or re-laid-out form of. */
  readonly family?: string;
  /** Multiply-accumulates on 8-bit integers. */
  readonly integer?: Counter;
  /** Multiply-accumulates in floating point. */
  readonly float?: Counter;
}

const COSTS: Readonly<Record<string, OpCost>> = {
  Conv: { float: convolution(1) },
  FusedConv: { family: 'Conv', float: convolution(1) },
  NhwcConv: { family: 'Conv', float: convolution(1) },
  NhwcFusedConv: { family: 'Conv', float: convolution(1) },
  ConvInteger: { integer: convolution(1) },
  QLinearConv: { integer: convolution(3) },
  ConvTranspose: { float: transposedConvolution(1) },
  QLinearConvTranspose: { integer: transposedConvolution(3) },

  MatMul: { float: matrixProduct },
  FusedMatMul: { family: 'MatMul', float: matrixProduct },
  FusedMatMulActivation: { family: 'MatMul', float: matrixProduct },
  MatMulNBits: { float: timesLastAxis },
  MatMulBnb4: { float: timesLastAxis },
  MatMulInteger: { integer: timesLastAxis },
  MatMulIntegerToFloat: { integer: timesLastAxis },
  DynamicQuantizeMatMul: { integer: timesLastAxis },
  QLinearMatMul: { integer: timesLastAxis },
  Gemm: { float: gemm },
  FusedGemm: { family: 'Gemm', float: gemm },
  QGemm: { integer: gemm },

  LSTM: { float: recurrent },
  GRU: { float: recurrent },
  RNN: { float: recurrent },
  DynamicQuantizeLSTM: { integer: recurrent },

  Attention: { float: (kernel) => projection(kernel) + attention(kernel) },
  QAttention: { integer: projection, float: attention },
  MultiHeadAttention: { float: attention },
  GroupQueryAttention: { float: attention },

  Einsum: { float: contraction },
};

export interface Macs {
  readonly integer: number;
  readonly float: number;
}

/** Multiply-accumulates of one execution. Padding that a kernel adds to its operands is counted. */
export function macsOf(kernel: Kernel): Macs {
  const cost = costOf(kernel.op);
  return { integer: cost?.integer?.(kernel) ?? 0, float: cost?.float?.(kernel) ?? 0 };
}

/** The op without its fusions: `FusedConv` and `NhwcFusedConv` are `Conv`. */
export function familyOf(op: string): string {
  return costOf(op)?.family ?? op;
}

/** Whether the op makes multiply-accumulates at all. */
export function hasMacs(op: string): boolean {
  return costOf(op) !== undefined;
}

function costOf(op: string): OpCost | undefined {
  return Object.hasOwn(COSTS, op) ? COSTS[op] : undefined;
}

function size(operand: Operand | undefined): number {
  return operand?.shape.reduce((total, length) => total * length, 1) ?? 0;
}

function axis(operand: Operand | undefined, index: number): number {
  return operand?.shape.at(index) ?? 0;
}

/** Weights [out, in / groups, ...kernel]: every output value takes one filter. */
function convolution(weights: number): Counter {
  return ({ inputs, outputs }) =>
    (size(outputs[0]) * size(inputs[weights])) / (axis(inputs[weights], 0) || 1);
}

/** Weights [in, out / groups, ...kernel]: every input value is spread by one filter. */
function transposedConvolution(weights: number): Counter {
  return ({ inputs }) =>
    (size(inputs[0]) * size(inputs[weights])) / (axis(inputs[weights], 0) || 1);
}

/** A never transposed: the last axis of A is summed over. */
function timesLastAxis({ inputs, outputs }: Kernel): number {
  return size(outputs[0]) * axis(inputs[0], -1);
}

/**
 * A and B may be transposed (FusedMatMul), which the shapes do not tell; but in any orientation
 * (M K) (K N) / (M N) = K squared.
 */
function matrixProduct(kernel: Kernel): number {
  const [a, b] = kernel.inputs;
  const vector = [a, b].some((operand) => operand?.shape.length === 1);
  if (vector || size(kernel.outputs[0]) === 0) return timesLastAxis(kernel);
  const inner = Math.sqrt((matrixSize(a) * matrixSize(b)) / matrixSize(kernel.outputs[0]));
  return Number.isInteger(inner) ? size(kernel.outputs[0]) * inner : timesLastAxis(kernel);
}

function matrixSize(operand: Operand | undefined): number {
  return (operand?.shape.slice(-2) ?? []).reduce((total, length) => total * length, 1);
}

/** Output [M, N], A [M, K] or transposed. */
function gemm({ inputs, outputs }: Kernel): number {
  const rows = axis(outputs[0], 0);
  return rows === 0 ? 0 : (size(outputs[0]) * size(inputs[0])) / rows;
}

/** X [steps, batch, in] or [batch, steps, in]; per step every weight of W and R is used once. */
function recurrent({ inputs }: Kernel): number {
  const [x, w, r] = inputs;
  return axis(x, 0) * axis(x, 1) * (size(w) + size(r));
}

/** Input [batch, steps, in] times one weight matrix for queries, keys and values together. */
function projection({ inputs }: Kernel): number {
  const [x, weights] = inputs;
  if (weights?.shape.length !== 2) return 0;
  return axis(x, 0) * axis(x, 1) * size(weights);
}

/** Queries times keys, and the result times values: 2 * steps * (steps attended to) * width. */
function attention({ inputs, outputs }: Kernel): number {
  const [out, present] = outputs;
  return 2 * size(out) * (attendedSteps(inputs[1], present) || attendedSteps(inputs[0], undefined));
}

function attendedSteps(keys: Operand | undefined, present: Operand | undefined): number {
  // present: [2, batch, heads, steps, width] or [batch, heads, steps, width]
  if (present && present.shape.length >= 4) return axis(present, -2);
  // keys: [batch, steps, width], [batch, heads, steps, width], or packed [batch, steps, heads, 2, width]
  if (keys?.shape.length === 4) return axis(keys, 2);
  if (keys?.shape.length === 3 || keys?.shape.length === 5) return axis(keys, 1);
  return 0;
}

/**
 * The equation is not in the profile, so it is guessed: summed over are axes of A and B, the batch is
 * axes of A, B and the output, and (batch M K) (batch K N) / (batch M N) = batch K squared.
 */
function contraction({ inputs, outputs }: Kernel): number {
  const [a, b] = inputs;
  const [out] = outputs;
  if (!a || !b || !out || inputs.length !== 2 || size(out) === 0) return 0;
  const shared = commonAxes(a.shape, b.shape);
  const batches = products(commonAxes(shared, out.shape));
  const inner = [...products(shared)]
    .toSorted((x, y) => y - x)
    .find((k) => batches.has((size(a) * size(b)) / (size(out) * k * k)));
  return size(out) * (inner ?? 0);
}

/** Lengths that are in both shapes, each as often as in the one that has fewer. */
function commonAxes(a: readonly number[], b: readonly number[]): number[] {
  const rest = [...b];
  return a.filter((length) => {
    const at = rest.indexOf(length);
    if (at !== -1) rest.splice(at, 1);
    return at !== -1;
  });
}

/** The products of every choice of these lengths; of none, 1. */
function products(lengths: readonly number[]): Set<number> {
  let found = new Set([1]);
  for (const length of lengths) {
    found = new Set([...found].flatMap((product) => [product, product * length]));
  }
  return found;
}
