import { bytesOf } from '../../model/bytes.ts';
import { floatData } from '../../model/tflite/tensor.ts';
import type { Statistics } from '../../model/statistics.ts';
import { makeTensor } from '../../model/tflite/types.ts';
import type { TfliteGraph, TfliteOperator, TfliteTensor } from '../../model/tflite/types.ts';

/** A graph in other words, and which operators are said in which now. */
export interface Restated {
  readonly graph: TfliteGraph;
  readonly moved: ReadonlyMap<TfliteOperator, TfliteOperator>;
}

/** With what is known of the tensors that were added. */
export interface RestatedKnown extends Restated {
  readonly statistics: Statistics;
}

/**
 * Says operators without an integer kernel as a MUL, which has one and costs the same in float:
 * -x = x * -1, x^2 = x * x, x / c = x * (1 / c).
 */
export function restate(
  graph: TfliteGraph,
  isExcluded: (operator: TfliteOperator) => boolean,
): Restated {
  const tensors = [...graph.tensors];
  const moved = new Map<TfliteOperator, TfliteOperator>();
  for (const operator of graph.operators) {
    const factor = factorOf(graph, operator);
    if (factor === undefined || isExcluded(operator)) continue;
    const [x = -1] = operator.inputs;
    const y = factor === 'itself' ? x : tensors.push(factor) - 1;
    moved.set(operator, timesOf(operator, x, y));
  }
  if (moved.size === 0) return { graph, moved };
  const operators = graph.operators.map((operator) => moved.get(operator) ?? operator);
  return { graph: { ...graph, tensors, operators }, moved };
}

function timesOf(operator: TfliteOperator, x: number, y: number): TfliteOperator {
  const { options } = operator;
  const fusedActivationFunction =
    options?.kind === 'DivOptions' ? options.fusedActivationFunction : 'NONE';
  return {
    ...operator,
    op: 'MUL',
    version: 1,
    inputs: [x, y],
    options: { kind: 'MulOptions', fusedActivationFunction },
  };
}

function factorOf(
  { tensors }: TfliteGraph,
  { op, inputs: [x = -1, y = -1], outputs: [made = -1] }: TfliteOperator,
): TfliteTensor | 'itself' | undefined {
  const [input, divisor, result] = [tensors[x], tensors[y], tensors[made]];
  if (input?.type !== 'FLOAT32' || result === undefined) return undefined;
  if (op === 'SQUARE') return 'itself';
  if (op === 'NEG') return constant(`${result.name}_factor`, [1], Float32Array.of(-1));
  if (op !== 'DIV' || divisor?.type !== 'FLOAT32' || divisor.data === null) return undefined;
  if (divisor.sparsity !== undefined) return undefined;
  const values = floatData(divisor).map((value) => 1 / value);
  if (!values.every(Number.isFinite)) return undefined;
  return constant(`${divisor.name}_reciprocal`, divisor.shape, values);
}

function constant(name: string, shape: readonly number[], values: Float32Array): TfliteTensor {
  return makeTensor({ name, type: 'FLOAT32', shape, data: bytesOf(values) });
}
