import { allOperators } from '../../model/tflite/calls.ts';
import { opName, operatorLabels } from '../../model/tflite/graph.ts';
import { numericKind } from '../../model/tflite/numeric-kind.ts';
import { uniqueTensorNames } from '../../model/tflite/tensor-names.ts';
import type { TfliteGraph, TfliteModel, TfliteOperator } from '../../model/tflite/types.ts';
import type { Named } from '../../quantize/excluded.ts';
import type { OpReport } from '../../quantize/report.ts';
import { namedOperator } from '../../quantize/tflite/units.ts';

/** Every operator, as reports and rules call it, with the names of what it makes. */
export function* namedOperators(
  model: TfliteModel,
): Generator<{ readonly named: Named; readonly outputs: readonly string[] }> {
  for (const { graph, operator, label, names } of operatorsOf(model)) {
    const outputs = operator.outputs.flatMap((at) => names[at] ?? []);
    yield { named: namedOperator(graph, operator, label, names), outputs };
  }
}

/** With a name of its own for every tensor: they stay the same whatever becomes an output. */
export function withUniqueNames(model: TfliteModel): TfliteModel {
  const subgraphs = model.subgraphs.map((graph) => {
    const names = uniqueTensorNames(graph);
    const tensors = graph.tensors.map((tensor, at) => ({ ...tensor, name: names[at] ?? '' }));
    return { ...graph, tensors };
  });
  return { ...model, subgraphs };
}

/** What an account says of a model as it is; `reason` is that of operators in float. */
export function accountOf(model: TfliteModel, reason: string): readonly OpReport[] {
  return [...operatorsOf(model)].map(({ graph, operator, label }): OpReport => {
    const row = { node: label, op: opName(operator) };
    const kind = numericKind(graph, operator);
    return kind === 'float'
      ? { ...row, precision: 'float', reason }
      : { ...row, precision: 'integer' };
  });
}

function* operatorsOf(model: TfliteModel): Generator<{
  readonly graph: TfliteGraph;
  readonly operator: TfliteOperator;
  readonly label: string;
  readonly names: readonly string[];
}> {
  const labels = operatorLabels(model);
  const names = model.subgraphs.map(uniqueTensorNames);
  for (const { operator, subgraph } of allOperators(model)) {
    const graph = model.subgraphs[subgraph];
    if (graph === undefined) continue;
    yield { graph, operator, label: labels.get(operator) ?? '', names: names[subgraph] ?? [] };
  }
}
