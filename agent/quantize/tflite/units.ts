import type { Scheme } from '../../contracts/scheme.ts';
import { indexGraph, opName, outputTensor } from '../../model/tflite/graph.ts';
import type { GraphIndex } from '../../model/tflite/graph.ts';
import { elementCount } from '../../model/tflite/tensor.ts';
import { uniqueTensorNames } from '../../model/tflite/tensor-names.ts';
import type { TfliteGraph, TfliteOperator, TfliteTensor } from '../../model/tflite/types.ts';
import type { Statistics, TensorStatistics } from '../../model/statistics.ts';
import type { Named } from '../excluded.ts';
import type { OpRule } from './op-table.ts';

/** An operator that will run in integers. Tensors are meant by their index. */
export interface IntegerUnit {
  readonly operator: TfliteOperator;
  readonly rule: OpRule;
  /** Data inputs that are activations. */
  readonly inputs: readonly number[];
  /** Data inputs that are constants. */
  readonly constants: readonly number[];
  /** Float outputs: they get integers in their place. */
  readonly outputs: readonly number[];
}

/** What planning looks at. */
export interface Given {
  readonly graph: TfliteGraph;
  readonly index: GraphIndex;
  /** Constants that the file holds as integers; in the graph they are floats (stored-weights.ts). */
  readonly stored: ReadonlyMap<number, TfliteTensor>;
  /** By index; statistics know tensors by these. */
  readonly names: readonly string[];
  readonly statistics: Statistics;
  readonly scheme: Scheme;
  readonly type: 's8' | 's16';
  /** Whether the model's own inputs and outputs become integers. */
  readonly integerInterface: boolean;
}

export function makeGiven(
  graph: TfliteGraph,
  statistics: Statistics,
  scheme: Scheme,
  stored: Given['stored'] = new Map(),
): Given {
  return {
    graph,
    index: indexGraph(graph),
    stored,
    names: uniqueTensorNames(graph),
    statistics,
    scheme,
    // There are no kernels for unsigned activations with scales per channel.
    type: scheme.activations === 's16' ? 's16' : 's8',
    integerInterface: interfaceOf(scheme) !== 'float32',
  };
}

/** Element type of what goes in and out. */
export function interfaceOf({ io, integerOnly, activations }: Scheme): NonNullable<Scheme['io']> {
  if (io !== undefined) return io;
  if (integerOnly !== true) return 'float32';
  return activations === 's16' ? 'int16' : 'int8';
}

/** Whether a tensor of the graph holds float activations: what quantizing is about. */
export function isFloatActivation({ graph, index }: Pick<Given, 'graph' | 'index'>, at: number) {
  return graph.tensors[at]?.type === 'FLOAT32' && !index.constants.has(at);
}

const WHOLE: ReadonlySet<string> = new Set([
  'INT8',
  'UINT8',
  'INT16',
  'UINT16',
  'INT32',
  'UINT32',
  'INT64',
  'UINT64',
  'INT4',
  'UINT4',
  'INT2',
  'BOOL',
  'STRING',
  'RESOURCE',
  'VARIANT',
]);

/** Whether an operator has to do with no floats at all: it is in integers as it is. */
export function isWithoutFloats(graph: TfliteGraph, { inputs, outputs }: TfliteOperator): boolean {
  return [...inputs, ...outputs].every(
    (at) => at < 0 || WHOLE.has(graph.tensors[at]?.type ?? 'FLOAT32'),
  );
}

/** Positions of data inputs that are not left out. */
export function dataPositions({ inputs }: TfliteOperator, { data }: OpRule): readonly number[] {
  const positions = data === 'all' ? inputs.map((_, position) => position) : data;
  return positions.filter((position) => (inputs[position] ?? -1) >= 0);
}

export function statisticsOf(given: Given, at: number): TensorStatistics | undefined {
  const found = given.statistics.tensors.get(given.names[at] ?? '');
  if (found === undefined || !Number.isFinite(found.min) || !Number.isFinite(found.max)) {
    return undefined;
  }
  return found;
}

/** As many as were seen; where nothing was, as the file says. */
export function elementsOf(given: Given, at: number): number {
  const seen = given.statistics.tensors.get(given.names[at] ?? '')?.shape;
  return Math.abs(elementCount(seen ?? given.graph.tensors[at]?.shape ?? []));
}

/** How rules may call an operator: by its label, and by what it makes. */
export function namedOperator(
  graph: TfliteGraph,
  operator: TfliteOperator,
  label: string,
  names: readonly string[],
): Named {
  const made = names[operator.outputs[0] ?? -1] ?? '';
  const stored = outputTensor(graph, operator)?.name ?? '';
  return { op: opName(operator), names: [label, made, stored].filter((name) => name !== '') };
}
