import { uniqueNames } from '../names.ts';
import { isConstant } from './tensor.ts';
import type { TfliteGraph, TfliteModel, TfliteOperator, TfliteTensor } from './types.ts';

/** Reading graphs. Nothing here edits in place. */

/** `CONV_2D`, or the custom operator's own name. */
export function opName({ op, customCode }: TfliteOperator): string {
  return op === 'CUSTOM' && customCode !== undefined && customCode !== '' ? customCode : op;
}

/** Who makes and who reads each tensor of one graph, by the tensor's index. */
export interface GraphIndex {
  readonly producer: ReadonlyMap<number, TfliteOperator>;
  readonly consumers: ReadonlyMap<number, readonly TfliteOperator[]>;
  readonly constants: ReadonlyMap<number, TfliteTensor>;
  readonly inputs: ReadonlySet<number>;
  readonly outputs: ReadonlySet<number>;
}

export function indexGraph(graph: TfliteGraph): GraphIndex {
  const producer = new Map<number, TfliteOperator>();
  const consumers = new Map<number, TfliteOperator[]>();
  for (const operator of graph.operators) {
    for (const tensor of operator.outputs) if (tensor >= 0) producer.set(tensor, operator);
    for (const tensor of new Set(operator.inputs)) {
      if (tensor < 0) continue;
      const list = consumers.get(tensor);
      if (list === undefined) consumers.set(tensor, [operator]);
      else list.push(operator);
    }
  }
  const constants = graph.tensors.flatMap((tensor, index) =>
    isConstant(tensor) ? [[index, tensor] as const] : [],
  );
  return {
    producer,
    consumers,
    constants: new Map(constants),
    inputs: new Set(graph.inputs),
    outputs: new Set(graph.outputs),
  };
}

/** The tensor at an operator's input, or undefined where the input is left out. */
export function inputTensor(
  graph: TfliteGraph,
  operator: TfliteOperator,
  position: number,
): TfliteTensor | undefined {
  return graph.tensors[operator.inputs[position] ?? -1];
}

export function outputTensor(
  graph: TfliteGraph,
  operator: TfliteOperator,
  position = 0,
): TfliteTensor | undefined {
  return graph.tensors[operator.outputs[position] ?? -1];
}

/**
 * How reports name operators, which have no names in the file: by the first tensor that they make,
 * with a number behind it where that was taken. The same file always gives the same names.
 */
export function operatorLabels(model: TfliteModel): ReadonlyMap<TfliteOperator, string> {
  const labels = new Map<TfliteOperator, string>();
  const unique = uniqueNames(new Set());
  model.subgraphs.forEach((graph, subgraph) => {
    graph.operators.forEach((operator, index) => {
      const made = outputTensor(graph, operator)?.name ?? '';
      const wish = made === '' ? `${opName(operator)}_${subgraph}_${index}` : made;
      labels.set(operator, unique(wish));
    });
  });
  return labels;
}

/** Makes names that no tensor of the graph has yet. */
export function tensorNameMaker(graph: TfliteGraph): (wish: string) => string {
  return uniqueNames(new Set(graph.tensors.map(({ name }) => name)));
}

/** The same model around another subgraph. */
export function withSubgraph(model: TfliteModel, index: number, graph: TfliteGraph): TfliteModel {
  return { ...model, subgraphs: model.subgraphs.with(index, graph) };
}
