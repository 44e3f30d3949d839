import type { TfliteGraph, TfliteModel, TfliteOperator, TfliteTensor } from './types.ts';

/**
 * What to change in a graph, decided first and applied in one go. Tensors keep their indices through
 * any number of edits; `compact` takes out the unused ones at the end.
 */
export interface GraphEdit {
  /** Each operator with what stands in its place; an empty list removes it. */
  readonly replace: Map<TfliteOperator, readonly TfliteOperator[]>;
  /** Operators that read the first tensor read the second instead, also those in `replace`. */
  readonly rename: Map<number, number>;
  /** New operators that read what they say nevertheless: one that makes the second from the first. */
  readonly fixed: Set<TfliteOperator>;
  /** Tensors to put in the place of those at these indices. */
  readonly tensors: Map<number, TfliteTensor>;
  /** Tensors behind those of the graph. */
  readonly added: TfliteTensor[];
  /** The index of the first tensor in `added`. */
  readonly firstAdded: number;
}

export function newEdit(graph: TfliteGraph): GraphEdit {
  return {
    replace: new Map(),
    rename: new Map(),
    fixed: new Set(),
    tensors: new Map(),
    added: [],
    firstAdded: graph.tensors.length,
  };
}

/** Adds a tensor and returns the index that it will have. */
export function addTensor(edit: GraphEdit, tensor: TfliteTensor): number {
  return edit.firstAdded + edit.added.push(tensor) - 1;
}

export function isEmptyEdit({ replace, rename, tensors, added }: GraphEdit): boolean {
  return replace.size + rename.size + tensors.size + added.length === 0;
}

/** The graph after the edit; the same graph when there is nothing to change. */
export function applyEdit(graph: TfliteGraph, edit: GraphEdit): TfliteGraph {
  if (isEmptyEdit(edit)) return graph;
  const renames = ends(edit.rename);
  return {
    ...graph,
    tensors: [...graph.tensors.map((one, index) => edit.tensors.get(index) ?? one), ...edit.added],
    operators: graph.operators
      .flatMap((one) => edit.replace.get(one) ?? [one])
      .map((one) => (edit.fixed.has(one) ? one : renameInputs(one, renames))),
  };
}

/** Reads tensors through `renames`; the same operator when none of its inputs is renamed. */
export function renameInputs(
  operator: TfliteOperator,
  renames: ReadonlyMap<number, number>,
): TfliteOperator {
  if (!operator.inputs.some((tensor) => renames.has(tensor))) return operator;
  return { ...operator, inputs: operator.inputs.map((tensor) => renames.get(tensor) ?? tensor) };
}

/** Each tensor with the end of its chain of renames, without a loop. */
function ends(renames: ReadonlyMap<number, number>): Map<number, number> {
  const found = new Map<number, number>();
  for (const start of renames.keys()) {
    const passed = new Set<number>();
    let end = start;
    for (let next = renames.get(end); next !== undefined; next = renames.get(end)) {
      if (passed.has(end)) break;
      passed.add(end);
      end = found.get(end) ?? next;
    }
    for (const tensor of passed) found.set(tensor, end);
  }
  return found;
}

type Swaps = ReadonlyMap<number, number>;

/**
 * Lets other tensors take the place of a subgraph's inputs and outputs, in its signatures too.
 * Operators are not touched.
 */
export function replaceInterface(
  model: TfliteModel,
  subgraph: number,
  swaps: { readonly inputs?: Swaps; readonly outputs?: Swaps },
): TfliteModel {
  const input = swapper(swaps.inputs);
  const output = swapper(swaps.outputs);
  const graphs = model.subgraphs.map((graph, index) =>
    index === subgraph
      ? { ...graph, inputs: graph.inputs.map(input), outputs: graph.outputs.map(output) }
      : graph,
  );
  const signatures = model.signatures.map((one) =>
    one.subgraph === subgraph
      ? {
          ...one,
          inputs: one.inputs.map(({ name, tensor }) => ({ name, tensor: input(tensor) })),
          outputs: one.outputs.map(({ name, tensor }) => ({ name, tensor: output(tensor) })),
        }
      : one,
  );
  return { ...model, subgraphs: graphs, signatures };
}

const swapper = (swaps: Swaps | undefined) => (tensor: number) => swaps?.get(tensor) ?? tensor;
