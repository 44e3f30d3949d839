import type { OperatorOptions, TfliteModel, TfliteOperator } from './types.ts';

/** The fields of options that hold indices of subgraphs. */
const SUBGRAPH_FIELDS: ReadonlySet<string> = new Set([
  'subgraph',
  'thenSubgraphIndex',
  'elseSubgraphIndex',
  'condSubgraphIndex',
  'bodySubgraphIndex',
  'initSubgraphIndex',
  'branchSubgraphIndices',
  'decompositionSubgraphIndex',
  'updateComputationSubgraphIndex',
  'comparatorSubgraphIndex',
  'calledComputations',
]);

/** The subgraphs that an operator with these options calls, by index. */
export function calledSubgraphs(options: OperatorOptions | null): readonly number[] {
  return Object.entries(options ?? {})
    .filter(([field]) => SUBGRAPH_FIELDS.has(field))
    .flatMap(([, value]) => value)
    .filter((index) => typeof index === 'number');
}

/** Subgraphs that run when this one does, itself first, each once. */
export function reachedSubgraphs(model: TfliteModel, from = 0): readonly number[] {
  const reached = new Set([from]);
  // A set that grows while it is walked: whatever is added is walked too.
  for (const index of reached) {
    for (const { options } of model.subgraphs[index]?.operators ?? []) {
      calledSubgraphs(options).forEach((called) => reached.add(called));
    }
  }
  return [...reached];
}

/** Every operator of every subgraph, with the index of its subgraph. */
export function* allOperators(
  model: TfliteModel,
): Generator<{ readonly operator: TfliteOperator; readonly subgraph: number }> {
  for (const [subgraph, { operators }] of model.subgraphs.entries()) {
    for (const operator of operators) yield { operator, subgraph };
  }
}
