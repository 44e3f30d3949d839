import type { NodeProto, TensorProto } from '../../../agent/model/onnx/generated/messages.ts';
import { floatAttribute, intAttribute, opName } from '../../../agent/model/onnx/graph.ts';
import type { OnnxModel } from '../../../agent/model/onnx/open.ts';
import { DataType, tensorNumbers } from '../../../agent/model/onnx/tensor.ts';

/*
 * How far the outputs of a quantized model may lie from the float model's, derived from nothing but the
 * scales in the file: rounding adds at most half a step, weights are off by at most half a step each, and
 * every op passes errors on by its Lipschitz constant (largest difference in, largest difference out).
 */

/** Smallest and largest value of a tensor of the float model, over the samples. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

interface Constant {
  readonly dims: readonly number[];
  readonly values: readonly number[];
  readonly halfSteps: readonly number[];
}

interface Bound {
  /** Largest difference from the float model. */
  readonly error: number;
  /** Largest absolute value in the float model. */
  readonly magnitude: number;
  /** Known values: those of constants, and the half steps by which stored weights may be off. */
  readonly constant?: Constant;
}

export interface BoundOptions {
  /** Of the float model's tensors, by name; the quantized model keeps the names. */
  readonly ranges: ReadonlyMap<string, Range>;
  /** Steps by which one rounding may be off: 0.5, and 1 where kernels compute with integers. */
  readonly steps: number;
}

const INTEGER_LIMITS = new Map([
  [DataType.UINT8, [0, 255]],
  [DataType.INT8, [-128, 127]],
] as const);

/** Largest difference of every output, by name. Throws for an op that has no rule here. */
export function errorBounds(
  { graph }: OnnxModel,
  options: BoundOptions,
): ReadonlyMap<string, number> {
  const scope = new Scope(graph.initializer, options);
  for (const node of graph.node) scope.visit(node);
  return new Map(graph.output.map(({ name = '' }) => [name, scope.get(name).error]));
}

class Scope {
  private readonly bounds = new Map<string, Bound>();
  private readonly tensors: ReadonlyMap<string, TensorProto>;
  private readonly options: BoundOptions;

  constructor(tensors: readonly TensorProto[], options: BoundOptions) {
    this.tensors = new Map(tensors.map((tensor) => [tensor.name ?? '', tensor]));
    this.options = options;
  }

  get(name: string): Bound {
    const known = this.bounds.get(name);
    if (known !== undefined) return known;
    const tensor = this.tensors.get(name);
    if (tensor === undefined) return { error: 0, magnitude: this.magnitude(name) ?? 0 };
    const values = tensorNumbers(tensor);
    return {
      error: 0,
      magnitude: largest(values),
      constant: { dims: tensor.dims, values, halfSteps: [] },
    };
  }

  visit(node: NodeProto): void {
    const made = this.made(node);
    for (const name of node.output) {
      // What the float model was seen to do is sharper than what the ops allow.
      const magnitude = this.magnitude(name) ?? made.magnitude;
      this.bounds.set(name, { ...made, magnitude });
    }
  }

  private made(node: NodeProto): Bound {
    const [first = '', second = '', third = ''] = node.input;
    const x = this.get(first);
    switch (opName(node)) {
      case 'QuantizeLinear':
        return x;
      case 'DequantizeLinear':
        return this.tensors.has(first) ? this.stored(node) : this.rounded(node, x);
      case 'Conv':
      case 'Gemm':
      case 'MatMul':
        return this.product(node, x, this.get(second), third === '' ? undefined : this.get(third));
      case 'com.microsoft.DynamicQuantizeMatMul':
        return this.dynamicProduct(node, x);
      case 'Add':
      case 'Sum':
      case 'Concat':
        return this.joined(node);
      case 'Mul':
        return times(x, this.get(second));
      case 'Sigmoid':
        return { error: x.error / 4, magnitude: 1 };
      case 'Softmax':
        // The rows of its Jacobian sum to 2 p (1 - p) at most.
        return { error: x.error / 2, magnitude: 1 };
      case 'LeakyRelu':
        return scaled(x, Math.max(1, Math.abs(floatAttribute(node, 'alpha') ?? 0.01)));
      default:
        if (PASSING.has(opName(node))) return scaled(x, 1);
        throw new Error(`no error rule for ${opName(node)}`);
    }
  }

  private magnitude(name: string): number | undefined {
    const range = this.options.ranges.get(name);
    return range && Math.max(Math.abs(range.min), Math.abs(range.max));
  }

  /** QuantizeLinear and DequantizeLinear: a rounding, and what is cut off. */
  private rounded({ input, output }: NodeProto, x: Bound): Bound {
    const [scale = 0] = tensorNumbers(this.tensors.get(input[1] ?? '')!);
    const zeroPoint = this.tensors.get(input[2] ?? '')!;
    const [zero = 0] = tensorNumbers(zeroPoint);
    const [low, high] = INTEGER_LIMITS.get(zeroPoint.dataType as 2 | 3)!;
    const range = this.options.ranges.get(output[0] ?? '');
    const cut =
      range === undefined
        ? 0
        : Math.max(range.max - (high - zero) * scale, (low - zero) * scale - range.min);
    // One step may be missing at the end of a range: a probability of 1 is stored as 255/256.
    const rounding = Math.max(this.options.steps * scale, Math.min(cut, scale));
    return { error: x.error + rounding, magnitude: x.magnitude };
  }

  /** Integers behind a DequantizeLinear: weights, with a scale for each index of `axis`, or for all. */
  private stored(node: NodeProto): Bound {
    const tensor = this.tensors.get(node.input[0] ?? '')!;
    const scales = tensorNumbers(this.tensors.get(node.input[1] ?? '')!);
    const axis = intAttribute(node, 'axis') ?? 1;
    return constantOf(tensor, scales, axis);
  }

  /** A weighted sum: errors of the input times the weights, errors of the weights times the input. */
  private product(node: NodeProto, x: Bound, w: Bound, b: Bound | undefined): Bound {
    if (w.constant === undefined) throw new Error(`no error rule for a product of activations`);
    const { values, halfSteps } = w.constant;
    const channelOf = channels(node, w.constant.dims);
    const gain = new Map<number, number>();
    const off = new Map<number, number>();
    values.forEach((value, i) => {
      const channel = channelOf(i);
      gain.set(channel, (gain.get(channel) ?? 0) + Math.abs(value));
      off.set(channel, (off.get(channel) ?? 0) + (halfSteps[i] ?? 0));
    });
    const biasStep = largest(b?.constant?.halfSteps ?? []);
    // Twice: the mean of what the weights are off by may have been put into the bias.
    const errors = [...gain].map(
      ([channel, sum]) => sum * x.error + 2 * (off.get(channel) ?? 0) * x.magnitude,
    );
    const sums = [...gain].map(([channel, sum]) => sum + (off.get(channel) ?? 0));
    return {
      error: largest(errors) + biasStep,
      magnitude: largest(sums) * x.magnitude + (b?.magnitude ?? 0) + biasStep,
    };
  }

  private dynamicProduct(node: NodeProto, x: Bound): Bound {
    const [, weight = '', scale = '', , bias = ''] = node.input;
    const tensor = this.tensors.get(weight)!;
    const w = constantOf(tensor, tensorNumbers(this.tensors.get(scale)!), 1);
    // The range of what arrives is stretched to zero; it has 255 steps.
    const step = (2 * (x.magnitude + x.error)) / 255;
    const input = { ...x, error: x.error + step };
    return this.product(node, input, w, bias === '' ? undefined : this.get(bias));
  }

  private joined(node: NodeProto): Bound {
    const bounds = node.input.map((name) => this.get(name));
    const join = opName(node) === 'Concat' ? largest : total;
    return {
      error: join(bounds.map(({ error }) => error)),
      magnitude: join(bounds.map(({ magnitude }) => magnitude)),
    };
  }
}

/** Element of the weights -> output that it belongs to. */
function channels(node: NodeProto, dims: readonly number[]): (index: number) => number {
  const inner = dims.slice(1).reduce((a, b) => a * b, 1);
  const rows = opName(node) === 'Conv' || intAttribute(node, 'transB') === 1;
  return (index) => (rows ? Math.floor(index / inner) : index % inner);
}

/** Ops that never make a difference larger. */
const PASSING: ReadonlySet<string> = new Set([
  'AveragePool',
  'Clip',
  'Flatten',
  'GlobalAveragePool',
  'Identity',
  'MaxPool',
  'Relu',
  'Reshape',
  'Slice',
  'Split',
  'Squeeze',
  'Transpose',
  'Unsqueeze',
]);

function constantOf(tensor: TensorProto, scales: readonly number[], axis: number): Bound {
  const inner = tensor.dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const size = tensor.dims[axis] ?? 1;
  const scaleOf = (i: number) =>
    scales.length === 1 ? scales[0]! : scales[Math.floor(i / inner) % size]!;
  const values = tensorNumbers(tensor).map((value, i) => value * scaleOf(i));
  const halfSteps = values.map((_, i) => scaleOf(i) / 2);
  return {
    error: 0,
    magnitude: largest(values),
    constant: { dims: tensor.dims, values, halfSteps },
  };
}

function times(x: Bound, y: Bound): Bound {
  return {
    error: x.magnitude * y.error + y.magnitude * x.error + x.error * y.error,
    magnitude: x.magnitude * y.magnitude,
  };
}

const scaled = ({ error, magnitude }: Bound, by: number): Bound => ({
  error: error * by,
  magnitude: magnitude * by,
});

const total = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
const largest = (values: readonly number[]) =>
  values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
