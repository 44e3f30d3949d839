import type {
  NamedTensor,
  Quantization,
  TfliteGraph,
  TfliteModel,
  TfliteOperator,
  TfliteTensor,
} from './types.ts';

/**
 * The model without what nobody uses: operators whose outputs nobody reads, tensors that no operator
 * or interface names, buffers that nothing refers to. Subgraphs stay where they are.
 */
export function compact(model: TfliteModel): TfliteModel {
  const moves: ReadonlyMap<number, number>[] = [];
  const signed = model.subgraphs.map((): NamedTensor[] => []);
  for (const { subgraph, inputs, outputs } of model.signatures) {
    signed[subgraph]?.push(...inputs, ...outputs);
  }
  const subgraphs = model.subgraphs.map((graph, index) => {
    const named = signed[index] ?? [];
    const operators = usedOperators(graph, named);
    const kept = usedTensors({ ...graph, operators }, named);
    const move = new Map(kept.map((from, to) => [from, to]));
    moves.push(move);
    return moveGraph({ ...graph, operators }, kept, move);
  });
  const signatures = model.signatures.map((one) => {
    const move = moves[one.subgraph] ?? new Map<number, number>();
    const moveNamed = (list: readonly NamedTensor[]) =>
      list.map((named) => ({ ...named, tensor: moved(move, named.tensor) }));
    return { ...one, inputs: moveNamed(one.inputs), outputs: moveNamed(one.outputs) };
  });
  return { ...model, subgraphs, signatures, unusedBuffers: [] };
}

/** Whether an operator does something besides making its outputs. */
function hasEffects(graph: TfliteGraph, { op, inputs, outputs, options }: TfliteOperator): boolean {
  return (
    // Without outputs an effect is all that there can be: ASSIGN_VARIABLE, CALL_ONCE.
    outputs.length === 0 ||
    // Whatever is called, or custom, may assign variables.
    op === 'CUSTOM' ||
    CALLS.has(options?.kind ?? '') ||
    inputs.some((tensor) => graph.tensors[tensor]?.isVariable === true)
  );
}

const CALLS: ReadonlySet<string> = new Set([
  'CallOptions',
  'IfOptions',
  'WhileOptions',
  'CallOnceOptions',
  'StablehloWhileOptions',
  'StablehloCaseOptions',
  'StablehloCustomCallOptions',
  'StableHLOCompositeOptions',
]);

function usedOperators(
  graph: TfliteGraph,
  named: readonly NamedTensor[],
): readonly TfliteOperator[] {
  const used = new Set([...graph.outputs, ...named.map(({ tensor }) => tensor)]);
  const kept: TfliteOperator[] = [];
  for (const operator of graph.operators.toReversed()) {
    const wanted = operator.outputs.some((tensor) => used.has(tensor));
    if (!wanted && !hasEffects(graph, operator)) continue;
    kept.push(operator);
    for (const tensor of operator.inputs) used.add(tensor);
  }
  return kept.toReversed();
}

/** Indices of the tensors that stay, in order. */
function usedTensors(graph: TfliteGraph, named: readonly NamedTensor[]): readonly number[] {
  const used = new Set([...graph.inputs, ...graph.outputs, ...named.map(({ tensor }) => tensor)]);
  for (const { inputs, outputs, intermediates } of graph.operators) {
    for (const tensor of [...inputs, ...outputs, ...intermediates]) used.add(tensor);
  }
  // A set that grows while it is walked: whatever is added is walked too.
  for (const tensor of used) {
    for (const other of detailTensors(graph.tensors[tensor])) used.add(other);
  }
  return [...graph.tensors.keys()].filter((tensor) => used.has(tensor));
}

/** Tensors that hold another one's scales and zero points. */
function detailTensors(tensor: TfliteTensor | undefined): readonly number[] {
  const details = tensor?.quantization?.details;
  if (details === undefined || details.kind === 'CustomQuantization') return [];
  return [details.scales, details.zeroPoints];
}

function moveGraph(
  graph: TfliteGraph,
  kept: readonly number[],
  move: ReadonlyMap<number, number>,
): TfliteGraph {
  const all = (list: readonly number[]) => list.map((tensor) => moved(move, tensor));
  return {
    ...graph,
    tensors: kept.flatMap((index) => {
      const tensor = graph.tensors[index];
      return tensor === undefined ? [] : [moveDetails(tensor, move)];
    }),
    inputs: all(graph.inputs),
    outputs: all(graph.outputs),
    operators: graph.operators.map((one) => ({
      ...one,
      inputs: all(one.inputs),
      outputs: all(one.outputs),
      intermediates: all(one.intermediates),
    })),
  };
}

function moveDetails(tensor: TfliteTensor, move: ReadonlyMap<number, number>): TfliteTensor {
  const { quantization } = tensor;
  const details = quantization?.details;
  if (!quantization || details === undefined || details.kind === 'CustomQuantization') {
    return tensor;
  }
  const changed: Quantization = {
    ...quantization,
    details: {
      ...details,
      scales: moved(move, details.scales),
      zeroPoints: moved(move, details.zeroPoints),
    },
  };
  return { ...tensor, quantization: changed };
}

/** An input that is left out stays so. */
function moved(move: ReadonlyMap<number, number>, tensor: number): number {
  return move.get(tensor) ?? -1;
}
