import { makeOperator } from '../../../agent/model/tflite/types.ts';
import type {
  TfliteGraph,
  TfliteModel,
  TfliteOperator,
  TfliteTensor,
} from '../../../agent/model/tflite/types.ts';
import type { Feeds } from '../../../agent/runtime/types.ts';
import { constant, tinyTflite, value } from '../../support/tflite-models.ts';
import { randomTensor, randomValues, randoms, sizeOf } from '../support.ts';

export type Activation = 'NONE' | 'RELU' | 'RELU6';

/** Builds a graph operator by operator; every method returns the tensor that it makes. */
export class GraphBuilder {
  readonly tensors: TfliteTensor[] = [];
  readonly operators: TfliteOperator[] = [];
  readonly inputs: number[] = [];
  private readonly next: () => number;

  constructor(seed = 1) {
    this.next = randoms(seed);
  }

  /** @param open the shape with -1 where it is open */
  input(name: string, shape: readonly number[], open?: readonly number[]): number {
    const at = this.add({ ...value(name, shape), ...(open && { shapeSignature: open }) });
    this.inputs.push(at);
    return at;
  }

  add(tensor: TfliteTensor): number {
    return this.tensors.push(tensor) - 1;
  }

  shape(at: number): readonly number[] {
    return this.tensors[at]!.shape;
  }

  random(name: string, shape: readonly number[], scale = 1): number {
    return this.add(constant(name, randomValues(this.next, sizeOf(shape), scale), { shape }));
  }

  floats(
    name: string,
    values: readonly number[],
    shape: readonly number[] = [values.length],
  ): number {
    return this.add(constant(name, Float32Array.from(values), { shape }));
  }

  ints(
    name: string,
    values: readonly number[],
    shape: readonly number[] = [values.length],
  ): number {
    return this.add(constant(name, Int32Array.from(values), { shape }));
  }

  make(
    op: TfliteOperator['op'],
    name: string,
    inputs: readonly number[],
    shape: readonly number[],
    options: TfliteOperator['options'] = null,
  ): number {
    const made = this.add(value(name, shape));
    this.operators.push(makeOperator({ op, inputs, outputs: [made], options }));
    return made;
  }

  conv(name: string, x: number, outputs: number, form: ConvForm = {}): number {
    const { size = 3, activation = 'NONE' } = form;
    const [batch = 1, height = 1, width = 1, channels = 1] = this.shape(x);
    const weights =
      form.weights ??
      this.random(`${name}/w`, [outputs, size, size, channels], 1.5 / (size * Math.sqrt(channels)));
    const bias = form.bias ?? this.random(`${name}/b`, [outputs], 0.5);
    return this.make('CONV_2D', name, [x, weights, bias], [batch, height, width, outputs], {
      kind: 'Conv2DOptions',
      padding: 'SAME',
      strideW: 1,
      strideH: 1,
      fusedActivationFunction: activation,
      dilationWFactor: 1,
      dilationHFactor: 1,
      quantizedBiasType: 'FLOAT32',
    });
  }

  depthwise(name: string, x: number, activation: Activation = 'NONE'): number {
    const channels = this.shape(x).at(-1) ?? 1;
    const weights = this.random(`${name}/w`, [1, 3, 3, channels], 0.5);
    const bias = this.random(`${name}/b`, [channels], 0.5);
    return this.make('DEPTHWISE_CONV_2D', name, [x, weights, bias], this.shape(x), {
      kind: 'DepthwiseConv2DOptions',
      padding: 'SAME',
      strideW: 1,
      strideH: 1,
      depthMultiplier: 1,
      fusedActivationFunction: activation,
      dilationWFactor: 1,
      dilationHFactor: 1,
    });
  }

  dense(name: string, x: number, outputs: number, form: DenseForm = {}): number {
    const { activation = 'NONE', keep = false } = form;
    const shape = this.shape(x);
    const inputs = shape.at(-1) ?? 1;
    const weights =
      form.weights ?? this.random(`${name}/w`, [outputs, inputs], 1 / Math.sqrt(inputs));
    const bias = form.bias === false ? -1 : this.random(`${name}/b`, [outputs], 0.5);
    const result = keep ? [...shape.slice(0, -1), outputs] : [sizeOf(shape) / inputs, outputs];
    return this.make('FULLY_CONNECTED', name, [x, weights, bias], result, {
      kind: 'FullyConnectedOptions',
      fusedActivationFunction: activation,
      weightsFormat: 'DEFAULT',
      keepNumDims: keep,
      asymmetricQuantizeInputs: false,
      quantizedBiasType: 'FLOAT32',
    });
  }

  sum(name: string, a: number, b: number, activation: Activation = 'NONE'): number {
    return this.make('ADD', name, [a, b], this.shape(a), {
      kind: 'AddOptions',
      fusedActivationFunction: activation,
      potScaleInt16: true,
    });
  }

  times(name: string, a: number, b: number): number {
    return this.make('MUL', name, [a, b], this.shape(a), {
      kind: 'MulOptions',
      fusedActivationFunction: 'NONE',
    });
  }

  unary(op: 'RELU' | 'LOGISTIC' | 'TANH' | 'NEG', name: string, x: number): number {
    const options = op === 'NEG' ? ({ kind: 'NegOptions' } as const) : null;
    return this.make(op, name, [x], this.shape(x), options);
  }

  softmax(name: string, x: number): number {
    return this.make('SOFTMAX', name, [x], this.shape(x), { kind: 'SoftmaxOptions', beta: 1 });
  }

  concat(name: string, parts: readonly number[]): number {
    const [first = -1] = parts;
    const channels = parts.reduce((sum, at) => sum + (this.shape(at).at(-1) ?? 0), 0);
    const shape = [...this.shape(first).slice(0, -1), channels];
    return this.make('CONCATENATION', name, parts, shape, {
      kind: 'ConcatenationOptions',
      axis: shape.length - 1,
      fusedActivationFunction: 'NONE',
    });
  }

  pool(op: 'AVERAGE_POOL_2D' | 'MAX_POOL_2D', name: string, x: number): number {
    return this.make(op, name, [x], this.shape(x), {
      kind: 'Pool2DOptions',
      padding: 'SAME',
      strideW: 1,
      strideH: 1,
      filterWidth: 2,
      filterHeight: 2,
      fusedActivationFunction: 'NONE',
    });
  }

  reshape(name: string, x: number, shape: readonly number[]): number {
    const sizes = this.ints(`${name}/shape`, shape);
    const options = { kind: 'ReshapeOptions', newShape: shape } as const;
    return this.make('RESHAPE', name, [x, sizes], shape, options);
  }

  graph(outputs: readonly number[]): Partial<TfliteGraph> {
    const { tensors, operators, inputs } = this;
    return { tensors, operators, inputs, outputs };
  }

  model(outputs: readonly number[], fields: Partial<TfliteModel> = {}): TfliteModel {
    return tinyTflite(this.graph(outputs), fields);
  }

  /** A sample for every input. */
  feeds(scale = 1): Feeds {
    return Object.fromEntries(
      this.inputs.map((at) => [
        this.tensors[at]!.name,
        randomTensor(this.next, this.shape(at), scale),
      ]),
    );
  }

  samples(count: number): Feeds[] {
    return Array.from({ length: count }, () => this.feeds());
  }
}

interface ConvForm {
  readonly size?: number;
  readonly activation?: Activation;
  readonly weights?: number;
  readonly bias?: number;
}

interface DenseForm {
  readonly weights?: number;
  readonly activation?: Activation;
  readonly keep?: boolean;
  readonly bias?: false;
}
