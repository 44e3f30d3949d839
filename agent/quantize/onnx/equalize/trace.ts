import type { GraphProto, NodeProto, TensorProto } from '../../../model/onnx/generated/messages.ts';
import { indexGraph, opName, subgraphsOf, usedNames } from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import { DataType } from '../../../model/onnx/tensor.ts';
import type { Layout } from './layout.ts';
import { RULES } from './rules.ts';
import { Variables } from './variables.ts';

/** A constant that takes part in scaling. */
export interface Slot {
  readonly node: NodeProto;
  /** Which input of the node it is. */
  readonly position: number;
  /** Over the constant. */
  readonly layout: Layout;
  /** -1 where it makes the tensor that gets divided, 1 where it reads it. */
  readonly power: 1 | -1;
}

/** A product of activations with constant weights, whose noise the factors change. */
export interface Product {
  readonly node: NodeProto;
  readonly input: string;
  /** Of the input, one variable per channel. */
  readonly layout: Layout;
  /** Of the weights: the variable that scales each of them. */
  readonly weights: Layout;
  readonly outputAxis: number;
}

/** Shapes by tensor name; tensors whose shape is not always the same have none. */
export type Shapes = ReadonlyMap<string, readonly number[]>;

/** Which channels of a graph can be scaled, and by which constants. */
export interface Trace {
  readonly variables: Variables;
  readonly layouts: ReadonlyMap<string, Layout>;
  readonly slots: readonly Slot[];
  readonly products: readonly Product[];
}

/** What rules see and write. */
export class Tracer implements Trace {
  readonly variables = new Variables();
  readonly layouts = new Map<string, Layout>();
  readonly slots: Slot[] = [];
  readonly products: Product[] = [];
  /** Whether shapes other than the batch are the same in every run. */
  readonly fixedShapes: boolean;
  readonly #shapes: Shapes;
  readonly #index: GraphIndex;

  constructor(graph: GraphProto, shapes: Shapes) {
    this.#shapes = shapes;
    this.#index = indexGraph(graph);
    this.fixedShapes = graph.input.every(({ type }) =>
      (type?.tensorType?.shape?.dim ?? []).every((dim, axis) => axis === 0 || isFixed(dim)),
    );
  }

  shape(name: string | undefined): readonly number[] | undefined {
    return this.#index.initializers.get(name ?? '')?.dims ?? this.#shapes.get(name ?? '');
  }

  layout(name: string | undefined): Layout | undefined {
    return this.layouts.get(name ?? '');
  }

  constant(name: string | undefined): TensorProto | undefined {
    return this.#index.initializers.get(name ?? '');
  }

  /** A constant of float32 values. */
  weights(name: string | undefined): TensorProto | undefined {
    const tensor = this.constant(name);
    return tensor?.dataType === DataType.FLOAT ? tensor : undefined;
  }

  /** Whether the node has this input at all. */
  has(node: NodeProto, position: number): boolean {
    return (node.input[position] ?? '') !== '';
  }

  scale(slot: Slot): void {
    this.slots.push(slot);
  }

  block(layout: Layout | undefined): undefined {
    layout?.ids.forEach((id) => this.variables.fix(id));
  }

  isBlocked({ ids }: Layout): boolean {
    return ids.every((id) => this.variables.isFixed(id));
  }
}

function isFixed({ dimValue }: { readonly dimValue?: unknown }): boolean {
  return dimValue !== undefined && Number(dimValue) > 0;
}

/**
 * Follows the channels that convolutions and matrix products with constant weights make through the
 * ops that let a factor per channel pass (ReLU, pooling, sums, ...) to the products that read them.
 * What anything else reads, or leaves the graph, keeps the factor 1.
 */
export function trace(graph: GraphProto, shapes: Shapes): Trace {
  const tracer = new Tracer(graph, shapes);
  for (const node of graph.node) {
    const inner = subgraphsOf(node).length > 0;
    const found = inner ? undefined : RULES.get(opName(node))?.(node, tracer);
    if (found === undefined) {
      for (const name of usedNames(node)) tracer.block(tracer.layout(name));
      continue;
    }
    found.forEach((layout, k) => {
      const name = node.output[k] ?? '';
      if (layout !== undefined && name !== '') tracer.layouts.set(name, layout);
    });
  }
  for (const { name } of graph.output) tracer.block(tracer.layout(name));
  return tracer;
}
