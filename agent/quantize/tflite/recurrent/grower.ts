import { bytesOf } from '../../../model/bytes.ts';
import { tensorNameMaker } from '../../../model/tflite/graph.ts';
import { makeOperator, makeTensor } from '../../../model/tflite/types.ts';
import type {
  OperatorOptions,
  TfliteGraph,
  TfliteOperator,
  TfliteTensor,
} from '../../../model/tflite/types.ts';
import { operatorVersion } from '../op-versions.ts';

type Op = TfliteOperator['op'];

/** Adds operators of floats behind those of a graph, one after the other. */
export class Grower {
  readonly #graph: TfliteGraph;
  readonly #tensors: TfliteTensor[];
  readonly #operators: TfliteOperator[] = [];
  readonly #unique: (wish: string) => string;
  readonly #name: string;

  /** @param name what the names of new tensors begin with */
  constructor(graph: TfliteGraph, name: string) {
    this.#graph = graph;
    this.#tensors = [...graph.tensors];
    this.#unique = tensorNameMaker(graph);
    this.#name = name;
  }

  shapeOf(at: number): readonly number[] {
    return this.#tensors[at]?.shape ?? [];
  }

  floats(values: Float32Array, shape: readonly number[]): number {
    return this.#add({ type: 'FLOAT32', shape, data: bytesOf(values) });
  }

  ints(...values: readonly number[]): number {
    return this.#add({
      type: 'INT32',
      shape: [values.length],
      data: bytesOf(Int32Array.from(values)),
    });
  }

  scalar(value: number): number {
    return this.#add({ type: 'INT32', shape: [], data: bytesOf(Int32Array.of(value)) });
  }

  /** An operator with one output. */
  make(
    op: Op,
    inputs: readonly number[],
    shape: readonly number[],
    options: OperatorOptions | null = null,
  ): number {
    const [made = -1] = this.makeAll(op, inputs, [shape], options);
    return made;
  }

  makeAll(
    op: Op,
    inputs: readonly number[],
    shapes: readonly (readonly number[])[],
    options: OperatorOptions | null = null,
  ): readonly number[] {
    const outputs = shapes.map((shape) => this.#add({ type: 'FLOAT32', shape }));
    const made = makeOperator({ op, inputs, outputs, options });
    this.#operators.push({ ...made, version: operatorVersion(made, (at) => this.#tensors[at]) });
    return outputs;
  }

  /** Gives a tensor that was added a name of its own, as it is. */
  rename(at: number, name: string): void {
    const tensor = this.#tensors[at];
    if (tensor !== undefined) this.#tensors[at] = { ...tensor, name };
  }

  grown(): TfliteGraph {
    const operators = [...this.#graph.operators, ...this.#operators];
    return { ...this.#graph, tensors: this.#tensors, operators };
  }

  #add(fields: Pick<TfliteTensor, 'type' | 'shape'> & Partial<TfliteTensor>): number {
    return this.#tensors.push(makeTensor({ name: this.#unique(this.#name), ...fields })) - 1;
  }
}
