import { compact } from './compact.ts';
import { indexGraph } from './graph.ts';
import { uniqueTensorNames } from './tensor-names.ts';
import type { TensorType, TfliteGraph, TfliteModel } from './types.ts';

export interface ExposeOptions {
  /**
   * Whether the model's own outputs stay, before the new ones. Without them operators that lead to no
   * wanted tensor are dropped, and so are the signatures, which name outputs.
   */
  readonly keepOutputs?: boolean;
}

/**
 * The model with inner tensors of the main graph as outputs. TFLite gives the memory of a tensor to
 * another one as soon as nobody reads it any more, so only outputs can be looked at. Every tensor of
 * the result has its unique name (tensor-names.ts), whatever is dropped. Names of what no operator
 * makes are passed over.
 */
export function exposeTensors(
  model: TfliteModel,
  names: Iterable<string>,
  { keepOutputs = true }: ExposeOptions = {},
): TfliteModel {
  const [main, ...called] = model.subgraphs;
  if (main === undefined) return model;
  const graph = withUniqueNames(main);
  const wanted = new Set(names);
  const found = innerTensors(graph).filter((index) => wanted.has(graph.tensors[index]?.name ?? ''));
  const kept = keepOutputs ? graph.outputs : [];
  const outputs = [...new Set([...kept, ...found])];
  const exposed = { ...model, subgraphs: [{ ...graph, outputs }, ...called] };
  if (keepOutputs) return exposed;
  const signatures = model.signatures.filter(({ subgraph }) => subgraph !== 0);
  return compact({ ...exposed, signatures });
}

/** Names of the tensors that `exposeTensors` can show, in the order in which they are made. */
export function exposableTensors(model: TfliteModel): readonly string[] {
  const [main] = model.subgraphs;
  if (main === undefined) return [];
  const graph = withUniqueNames(main);
  return innerTensors(graph).map((index) => graph.tensors[index]?.name ?? '');
}

function withUniqueNames(graph: TfliteGraph): TfliteGraph {
  const names = uniqueTensorNames(graph);
  const tensors = graph.tensors.map((tensor, index) => ({ ...tensor, name: names[index] ?? '' }));
  return { ...graph, tensors };
}

/** Nothing that can be fed or compared. */
const NO_NUMBERS: ReadonlySet<TensorType> = new Set<TensorType>(['STRING', 'RESOURCE', 'VARIANT']);

/**
 * What operators make: of numbers, not kept from one run to the next, and not of constants alone.
 * XNNPACK fails to run where a decoded weight is an output.
 */
function innerTensors(graph: TfliteGraph): readonly number[] {
  const { constants } = indexGraph(graph);
  const fixed = new Set(constants.keys());
  return graph.operators.flatMap(({ inputs, outputs }) => {
    const isFixed = inputs.length > 0 && inputs.every((index) => index < 0 || fixed.has(index));
    if (isFixed) for (const index of outputs) fixed.add(index);
    return outputs.filter((index) => {
      const tensor = graph.tensors[index];
      if (tensor === undefined || isFixed) return false;
      return !tensor.isVariable && !NO_NUMBERS.has(tensor.type);
    });
  });
}
