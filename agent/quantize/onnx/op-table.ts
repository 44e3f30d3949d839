/**
 * What each op may become in static INT8 on onnxruntime's CPU provider. Taken from its QDQ selectors
 * (qdq_selector_action_transformer.cc) and checked by reading the graphs it really runs.
 */

export type Role =
  /** Multiplies activations with constant weights: where the work is. */
  | 'conv'
  | 'gemm'
  | 'matmul'
  /** Runs on the bytes as they are: the output has the input's scale and zero point. */
  | 'layout'
  /** Leaves the bytes as they are and multiplies their scale. */
  | 'relabel'
  /** Has an integer kernel that rescales: every output gets its own scale. */
  | 'rescaling'
  /** Can be left out behind an integer op whose quantized range already cuts it off. */
  | 'clamp';

export interface OpRule {
  readonly role: Role;
  /** Positions of the inputs that carry data; the others are parameters. */
  readonly data: readonly number[] | 'all';
  /** For 'relabel': what the scale is multiplied by. */
  readonly factor?: number;
  /** An output range known without calibration. */
  readonly fixedOutput?: { readonly min: number; readonly max: number };
}

const layout: OpRule = { role: 'layout', data: [0] };
const binary: OpRule = { role: 'rescaling', data: [0, 1] };
const unary: OpRule = { role: 'rescaling', data: [0] };

export const OP_TABLE: ReadonlyMap<string, OpRule> = new Map<string, OpRule>([
  ['Conv', { role: 'conv', data: [0] }],
  ['Gemm', { role: 'gemm', data: [0] }],
  ['MatMul', { role: 'matmul', data: [0] }],
  ['Add', binary],
  ['Mul', binary],
  ['Concat', { role: 'rescaling', data: 'all' }],
  ['AveragePool', unary],
  ['GlobalAveragePool', unary],
  ['LeakyRelu', unary],
  ['Sigmoid', { ...unary, fixedOutput: { min: 0, max: 1 } }],
  ['MaxPool', layout],
  ['Reshape', layout],
  ['Transpose', layout],
  ['Squeeze', layout],
  ['Unsqueeze', layout],
  ['Flatten', layout],
  ['Slice', layout],
  ['Split', layout],
  ['Resize', layout],
  ['Relu', { role: 'clamp', data: [0] }],
  ['Clip', { role: 'clamp', data: [0] }],
]);

/** Ops that are said in others first (rearrange/common-ops.ts), which takes knowing their ranges. */
export const REWRITTEN: ReadonlyMap<string, OpRule> = new Map(
  ['ReduceMean', 'Sub', 'Div', 'PRelu', 'HardSigmoid', 'HardSwish'].map((op) => [op, unary]),
);

/** Whether the op multiplies with weights. */
export function isWeighted({ role }: OpRule): boolean {
  return role === 'conv' || role === 'gemm' || role === 'matmul';
}

/** Why an op that has no row stays in float. */
export function whyFloat(op: string): string {
  return WHY_FLOAT.get(op) ?? `onnxruntime has no integer kernel for ${op} on the CPU`;
}

const WHY_FLOAT: ReadonlyMap<string, string> = new Map([
  ['Softmax', 'small, and its few levels near zero cost accuracy'],
  ['Sub', 'only x - constant is said as an Add'],
  ['Div', 'only x / constant is said as a Mul'],
  ['PRelu', 'only with one slope, or with slopes of at least zero, it is said in integer ops'],
  ['ReduceMean', 'only a mean over all pixels has an integer kernel'],
  ['HardSigmoid', 'not between integer ops, where it is said in Add and Mul'],
  ['HardSwish', 'not between integer ops, where it is said in Add and Mul'],
  ['Pad', 'onnxruntime keeps Pad in float among bytes'],
  ['LSTM', 'static INT8 has no LSTM kernel: try --to int8-dynamic'],
  ['GRU', 'onnxruntime has no integer GRU on the CPU'],
  ['If', 'control flow: its branches are quantized each by itself'],
  ['Loop', 'control flow: its body is quantized by itself'],
  ['Scan', 'control flow: its body is not calibrated'],
]);
