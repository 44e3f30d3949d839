import * as fc from 'fast-check';
import type { NodeProto, TensorProto } from '../../../agent/model/onnx/generated/messages.ts';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import type { OnnxModel } from '../../../agent/model/onnx/open.ts';
import { floatTensor, int64Tensor } from '../../../agent/model/onnx/tensor.ts';
import { tinyModel } from '../../support/onnx-models.ts';
import { randomValues, randoms, sizeOf, weights } from '../support.ts';

/** One op; `from` and `other` count back from the newest tensor, so that dropping a step keeps the rest. */
export interface Link {
  readonly op: string;
  readonly from: number;
  readonly other: number;
}

/** A small network with branches: whatever no other op reads is an output. */
export interface Branches {
  readonly seed: number;
  readonly opset: number;
  readonly channels: number;
  readonly size: number;
  readonly links: readonly Link[];
}

type Attributes = NonNullable<Parameters<typeof makeNode>[3]>['attributes'];

interface Value {
  readonly name: string;
  readonly shape: readonly number[];
}

interface Step {
  readonly x: Value;
  readonly y: Value;
  readonly net: Builder;
}

/** Collects nodes and constants; every tensor that a node makes can be picked later. */
class Builder {
  readonly nodes: NodeProto[] = [];
  readonly initializers: TensorProto[] = [];
  readonly values: Value[];
  private readonly next: () => number;

  constructor({ seed, channels, size }: Branches) {
    this.next = randoms(seed);
    this.values = [{ name: 'x', shape: [1, channels, size, size] }];
  }

  pick(back: number): Value {
    return this.values.at(-1 - (back % this.values.length))!;
  }

  weight(scale: number, ...dims: readonly number[]): string {
    const name = `w${this.initializers.length}`;
    this.initializers.push(weights(name, dims, randomValues(this.next, sizeOf(dims), scale)));
    return name;
  }

  scalar(value: number): string {
    const name = `c${this.initializers.length}`;
    this.initializers.push(floatTensor(name, value));
    return name;
  }

  integers(...values: readonly number[]): string {
    const name = `i${this.initializers.length}`;
    this.initializers.push(int64Tensor(name, values));
    return name;
  }

  push(
    op: string,
    input: readonly string[],
    shapes: readonly (readonly number[])[],
    attributes: Attributes = {},
  ): void {
    const made = shapes.map((shape, i) => ({ name: `t${this.values.length + i}`, shape }));
    const output = made.map(({ name }) => name);
    this.nodes.push(makeNode(op, input, output, { attributes: attributes ?? {} }));
    this.values.push(...made);
  }
}

const CHANNELS = 3;
const WINDOW = { kernel_shape: [3n, 3n], pads: [1n, 1n, 1n, 1n] };

/** What each op does to a tensor; one that does not fit is left out. */
const OPS: Readonly<Record<string, (step: Step) => void>> = {
  Conv: ({ x, net }) => {
    const [n = 1, c = 1, h = 1, w = 1] = x.shape;
    if (x.shape.length !== 4) return;
    const input = [x.name, net.weight(0.4, CHANNELS, c, 3, 3), net.weight(0.5, CHANNELS)];
    net.push('Conv', input, [[n, CHANNELS, h, w]], { pads: WINDOW.pads });
  },
  Depthwise: ({ x, net }) => {
    const [, c = 1] = x.shape;
    if (x.shape.length !== 4) return;
    const attributes = { pads: WINDOW.pads, group: BigInt(c) };
    net.push('Conv', [x.name, net.weight(0.6, c, 1, 3, 3)], [x.shape], attributes);
  },
  Gemm: ({ x, net }) => {
    const [n = 1, k = 1] = x.shape;
    if (x.shape.length !== 2) return;
    const input = [x.name, net.weight(0.4, 4, k), net.weight(0.5, 4)];
    net.push('Gemm', input, [[n, 4]], { transB: 1n });
  },
  MatMul: ({ x, net }) => {
    const columns = x.shape.at(-1) ?? 1;
    const weight = net.weight(0.4, columns, 4);
    net.push('MatMul', [x.name, weight], [[...x.shape.slice(0, -1), 4]]);
  },
  Relu: ({ x, net }) => net.push('Relu', [x.name], [x.shape]),
  Clip: ({ x, net }) => net.push('Clip', [x.name, net.scalar(-0.2), net.scalar(0.7)], [x.shape]),
  Sigmoid: ({ x, net }) => net.push('Sigmoid', [x.name], [x.shape]),
  LeakyRelu: ({ x, net }) => net.push('LeakyRelu', [x.name], [x.shape], { alpha: 0.1 }),
  Softmax: ({ x, net }) => net.push('Softmax', [x.name], [x.shape], { axis: -1n }),
  Add: (step) => pair('Add', step),
  Mul: (step) => pair('Mul', step),
  Concat: ({ x, y, net }) => {
    if (x.shape.join() !== y.shape.join()) return;
    const shape = x.shape.map((size, axis) => (axis === 1 ? size * 2 : size));
    net.push('Concat', [x.name, y.name], [shape], { axis: 1n });
  },
  MaxPool: ({ x, net }) => window('MaxPool', x, net),
  AveragePool: ({ x, net }) => window('AveragePool', x, net),
  GlobalAveragePool: ({ x, net }) => {
    if (x.shape.length !== 4) return;
    net.push('GlobalAveragePool', [x.name], [[...x.shape.slice(0, 2), 1, 1]]);
  },
  Reshape: ({ x, net }) => {
    net.push('Reshape', [x.name, net.integers(1, -1)], [[1, sizeOf(x.shape)]]);
  },
  Transpose: ({ x, net }) => {
    const perm = x.shape.length === 4 ? [0n, 2n, 3n, 1n] : [1n, 0n];
    net.push('Transpose', [x.name], [perm.map((axis) => x.shape[Number(axis)]!)], { perm });
  },
  Split: ({ x, net }) => {
    const [n = 1, c = 1, ...rest] = x.shape;
    if (c < 2) return;
    const parts = [1, c - 1].map((size) => [n, size, ...rest]);
    net.push('Split', [x.name, net.integers(1, c - 1)], parts, { axis: 1n });
  },
  Slice: ({ x, net }) => {
    const [n = 1, c = 1, ...rest] = x.shape;
    if (c < 2) return;
    const input = [x.name, net.integers(1), net.integers(c), net.integers(1)];
    net.push('Slice', input, [[n, c - 1, ...rest]]);
  },
};

function pair(op: string, { x, y, net }: Step): void {
  const same = x.shape.join() === y.shape.join();
  net.push(op, [x.name, same ? y.name : net.weight(0.8, 1)], [x.shape]);
}

function window(op: string, x: Value, net: Builder): void {
  if (x.shape.length === 4) net.push(op, [x.name], [x.shape], WINDOW);
}

export const branches: fc.Arbitrary<Branches> = fc.record({
  seed: fc.nat(999),
  opset: fc.constantFrom(13, 15, 17, 18, 19, 20, 21),
  channels: fc.integer({ min: 1, max: 3 }),
  size: fc.integer({ min: 3, max: 5 }),
  links: fc.array(
    fc.record({
      op: fc.constantFrom(...Object.keys(OPS)),
      from: fc.nat(3),
      other: fc.nat(4),
    }),
    { minLength: 1, maxLength: 6 },
  ),
});

/** The network, with a convolution first: there is always something to quantize. */
export function buildBranches(plan: Branches): OnnxModel {
  const net = new Builder(plan);
  for (const { op, from, other } of [{ op: 'Conv', from: 0, other: 0 }, ...plan.links]) {
    OPS[op]!({ x: net.pick(from), y: net.pick(other), net });
  }
  const read = new Set(net.nodes.flatMap(({ input }) => input));
  const outputs = net.values.filter(({ name }) => !read.has(name));
  return tinyModel({
    opset: plan.opset,
    inputs: { x: [1, net.values[0]!.shape] },
    outputs: Object.fromEntries(outputs.map(({ name, shape }) => [name, [1, shape] as const])),
    initializers: net.initializers,
    nodes: net.nodes,
  });
}

/** What a counterexample looks like: `t1 = Conv(x, w0, w1)`. */
export function describeGraph({ graph }: OnnxModel): string {
  return graph.node
    .map(({ opType, input, output }) => `${output.join(', ')} = ${opType}(${input.join(', ')})`)
    .join('\n');
}
