import type { Layout } from './layout.ts';
import type { Weights } from './noise.ts';
import { Variables } from './variables.ts';

/*
 * What factors do to a graph, whatever its format: rules follow them from operator to operator
 * (elementwise.ts, moving.ts, products.ts, and those of each format).
 */

/** An operator, by the names of what it reads and makes; '' where an input is left out. */
export interface Step {
  readonly input: readonly string[];
  readonly output: readonly string[];
}

export interface Constant {
  readonly dims: readonly number[];
}

/** A constant that takes part in scaling. */
export interface Slot<S extends Step> {
  readonly step: S;
  /** Which input of the operator it is. */
  readonly position: number;
  /** Over the constant. */
  readonly layout: Layout;
  /** -1 where it makes the tensor that gets divided, 1 where it reads it. */
  readonly power: 1 | -1;
}

/** A product of activations with constant weights, whose noise the factors change. */
export interface Product {
  readonly input: string;
  readonly output: string;
  /** Of the input, one variable per channel. */
  readonly layout: Layout;
  /** Of the weights: the variable that scales each of them, along their first two axes. */
  readonly weights: Layout;
  /** Which of these two is that of the outputs. */
  readonly outputAxis: number;
  /** The weights: two axes of channels, then taps. */
  readonly values: () => Weights;
}

/** Shapes by tensor name; tensors whose shape is not always the same have none. */
export type Shapes = ReadonlyMap<string, readonly number[]>;

/** Which channels of a graph can be scaled. */
export interface Trace {
  readonly variables: Variables;
  readonly layouts: ReadonlyMap<string, Layout>;
  readonly products: readonly Product[];
}

/** What a tracer asks of a graph. */
export interface Source<C extends Constant> {
  readonly constant: (name: string) => C | undefined;
  /** Whether a constant is of float32 values. */
  readonly isFloat: (constant: C) => boolean;
  readonly shapes: Shapes;
  /** Whether shapes other than the batch are the same in every run. */
  readonly fixedShapes: boolean;
}

/**
 * What an operator does to factors: the layout of each output, undefined where an output cannot be
 * scaled. Undefined for the whole: the inputs keep the factor 1. A rule that returns outputs has
 * dealt with every input that has a layout.
 */
export type Found = readonly (Layout | undefined)[] | undefined;

/** What rules see and write. */
export class Tracer<S extends Step = Step, C extends Constant = Constant> implements Trace {
  readonly variables = new Variables();
  readonly layouts = new Map<string, Layout>();
  readonly slots: Slot<S>[] = [];
  readonly products: Product[] = [];
  readonly fixedShapes: boolean;
  readonly #source: Source<C>;

  constructor(source: Source<C>) {
    this.#source = source;
    this.fixedShapes = source.fixedShapes;
  }

  shape(name: string | undefined): readonly number[] | undefined {
    return this.constant(name)?.dims ?? this.#source.shapes.get(name ?? '');
  }

  layout(name: string | undefined): Layout | undefined {
    return this.layouts.get(name ?? '');
  }

  constant(name: string | undefined): C | undefined {
    return this.#source.constant(name ?? '');
  }

  /** A constant of float32 values. */
  weights(name: string | undefined): C | undefined {
    const constant = this.constant(name);
    return constant !== undefined && this.#source.isFloat(constant) ? constant : undefined;
  }

  /** Whether the operator has this input at all. */
  has({ input }: S, position: number): boolean {
    return (input[position] ?? '') !== '';
  }

  scale(slot: Slot<S>): void {
    this.slots.push(slot);
  }

  block(layout: Layout | undefined): undefined {
    layout?.ids.forEach((id) => this.variables.fix(id));
  }

  isBlocked({ ids }: Layout): boolean {
    return ids.every((id) => this.variables.isFixed(id));
  }

  /** Takes what a rule found; where it found nothing, what `read` names keeps the factor 1. */
  note({ output }: S, found: Found, read: Iterable<string>): void {
    if (found === undefined) for (const name of read) this.block(this.layout(name));
    found?.forEach((layout, k) => {
      const name = output[k] ?? '';
      if (layout !== undefined && name !== '') this.layouts.set(name, layout);
    });
  }
}
