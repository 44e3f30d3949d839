import * as fc from 'fast-check';
import type { NodeProto, TensorProto } from '../../../agent/model/onnx/generated/messages.ts';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { floatTensor } from '../../../agent/model/onnx/tensor.ts';
import type { OnnxModel } from '../../../agent/model/onnx/open.ts';
import { tinyModel } from '../../support/onnx-models.ts';
import { randomValues, randoms, sizeOf, weights } from '../support.ts';

/** One step of a random network: which op, and which of the tensors so far it reads. */
export interface Step {
  readonly op: string;
  readonly from: number;
  readonly other: number;
  readonly channels: number;
  /** The tensor is an output of the model. */
  readonly shown: boolean;
}

export interface Plan {
  readonly seed: number;
  readonly opset: number;
  readonly shape: readonly [batch: number, channels: number, height: number, width: number];
  readonly steps: readonly Step[];
}

const OPS = [
  'Conv',
  'Conv',
  'Conv',
  'Depthwise',
  'Relu',
  'Clip',
  'Add',
  'Mul',
  'Concat',
  'MaxPool',
  'AveragePool',
  'BatchNormalization',
  'LeakyRelu',
  'Sigmoid',
  'Tanh',
  'Resize',
  'Identity',
  'Gemm',
];

const step: fc.Arbitrary<Step> = fc.record({
  op: fc.constantFrom(...OPS),
  from: fc.nat(20),
  other: fc.nat(20),
  channels: fc.integer({ min: 1, max: 5 }),
  shown: fc.boolean(),
});

export const plans: fc.Arbitrary<Plan> = fc.record({
  seed: fc.nat(),
  opset: fc.constantFrom(11, 13, 17),
  shape: fc.tuple(
    fc.integer({ min: 1, max: 2 }),
    fc.integer({ min: 1, max: 4 }),
    fc.integer({ min: 3, max: 6 }),
    fc.integer({ min: 3, max: 6 }),
  ),
  steps: fc.array(step, { minLength: 1, maxLength: 6 }),
});

interface Value {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Builds the network; steps that do not fit their input are left out. */
export class RandomNet {
  private readonly nodes: NodeProto[] = [];
  private readonly initializers: TensorProto[] = [
    floatTensor('low', 0),
    floatTensor('high', 0.8),
    floatTensor('roi', []),
  ];
  private readonly next: () => number;
  private readonly plan: Plan;
  private readonly values: Value[];

  constructor(plan: Plan) {
    this.plan = plan;
    this.next = randoms(plan.seed);
    this.values = [{ name: 'x', shape: plan.shape }];
  }

  build(): OnnxModel {
    const { shape, opset, steps } = this.plan;
    // A convolution comes first and is an output, so that there is always something to quantize.
    const first: Step = { op: 'Conv', from: 0, other: 0, channels: 3, shown: true };
    const shown = [first, ...steps].flatMap((one) => {
      const made = this.add(one);
      return made !== undefined && one.shown ? [made.name] : [];
    });
    const outputs = new Set([...shown, this.values.at(-1)!.name]);
    return tinyModel({
      opset,
      inputs: { x: [1, shape] },
      outputs: Object.fromEntries([...outputs].map((name) => [name, [1] as const])),
      initializers: this.initializers,
      nodes: this.nodes,
    });
  }

  private pick(index: number): Value {
    return this.values[this.values.length - 1 - (index % this.values.length)]!;
  }

  private weight(scale: number, ...dims: readonly number[]): string {
    const name = `w${this.initializers.length}`;
    this.initializers.push(weights(name, dims, randomValues(this.next, sizeOf(dims), scale)));
    return name;
  }

  private push(
    op: string,
    input: readonly string[],
    shape: readonly number[],
    attributes: Parameters<typeof makeNode>[3] = {},
  ): Value {
    const value = { name: `t${this.values.length}`, shape };
    this.nodes.push(makeNode(op, input, [value.name], attributes));
    this.values.push(value);
    return value;
  }

  private add({ op, from, other, channels }: Step): Value | undefined {
    const x = this.pick(from);
    const y = this.pick(other);
    const [batch = 1, c = 1, h = 1, w = 1] = x.shape;
    const same = (a: readonly number[]) => a.join() === y.shape.join();
    if (x.shape.length === 2 && !ANY_RANK.has(op)) return undefined;
    switch (op) {
      case 'Conv': {
        const input = [x.name, this.weight(0.7, channels, c, 3, 3), this.weight(0.5, channels)];
        return this.push(op, input, [batch, channels, h, w], {
          attributes: { pads: [1n, 1n, 1n, 1n] },
        });
      }
      case 'Depthwise':
        return this.push('Conv', [x.name, this.weight(1, c, 1, 1, 1)], x.shape, {
          attributes: { group: BigInt(c) },
        });
      case 'Clip':
        return this.push(op, [x.name, 'low', 'high'], x.shape);
      case 'Add':
      case 'Mul':
        return this.push(op, [x.name, same(x.shape) ? y.name : 'high'], x.shape);
      case 'Concat':
        if (!same(x.shape)) return undefined;
        return this.push(op, [x.name, y.name], [batch, c * 2, h, w], { attributes: { axis: 1n } });
      case 'MaxPool':
      case 'AveragePool':
        return this.push(op, [x.name], [batch, c, h, w], {
          attributes: { kernel_shape: [3n, 3n], pads: [1n, 1n, 1n, 1n] },
        });
      case 'BatchNormalization': {
        const one = this.weight(0, c);
        const variance = `v${this.initializers.length}`;
        this.initializers.push(weights(variance, [c], new Float32Array(c).fill(0.5)));
        return this.push(
          op,
          [x.name, this.weight(1, c), this.weight(1, c), one, variance],
          x.shape,
        );
      }
      case 'Resize':
        this.initializers.push(floatTensor(`s${this.values.length}`, [1, 1, 2, 2]));
        return this.push(op, [x.name, 'roi', `s${this.values.length}`], [batch, c, h * 2, w * 2], {
          attributes: { coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
        });
      case 'Gemm': {
        const flat = this.push('Flatten', [x.name], [batch, sizeOf(x.shape) / batch]);
        const input = [
          flat.name,
          this.weight(0.5, flat.shape[1]!, channels),
          this.weight(1, channels),
        ];
        return this.push(op, input, [batch, channels]);
      }
      default:
        return this.push(op, [x.name], x.shape);
    }
  }
}

const ANY_RANK: ReadonlySet<string> = new Set([
  'Relu',
  'Clip',
  'Sigmoid',
  'Tanh',
  'Identity',
  'LeakyRelu',
]);
