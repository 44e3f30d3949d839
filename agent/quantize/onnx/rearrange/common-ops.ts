import { applyEdit, dropUnused, isEmptyEdit, newEdit } from '../../../model/onnx/edit.ts';
import type { NodeProto } from '../../../model/onnx/generated/messages.ts';
import { indexGraph, nameMaker, opName } from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import type { TensorStatistics } from '../../../model/statistics.ts';
import { OP_TABLE } from '../op-table.ts';
import { hardSigmoid, hardSwish, pRelu } from './activations.ts';
import { div, reduceMean, sub } from './arithmetic-ops.ts';
import { withTensors } from './rearranged.ts';
import type { Rearranged } from './rearranged.ts';
import type { Say, Tools } from './say.ts';

const SAID: ReadonlyMap<string, Say> = new Map<string, Say>([
  ['ReduceMean', reduceMean],
  ['Sub', sub],
  ['Div', div],
  ['PRelu', pRelu],
  ['HardSigmoid', hardSigmoid],
  ['HardSwish', hardSwish],
]);

/**
 * Says what has no integer kernel in ops that have one, between ops that may be integer. There may be
 * more of them, which pays on bytes only.
 */
export function commonOps({ graph, statistics, isExcluded }: Rearranged): Rearranged {
  const edit = newEdit();
  const added = new Map<string, TensorStatistics>();
  const tools: Tools = {
    index: indexGraph(graph),
    statistics,
    unique: nameMaker(graph),
    constant: (tensor) => edit.initializers.set(tensor.name ?? '', tensor),
    observe: (name, seen) => added.set(name, seen),
  };
  for (const node of graph.node) {
    const say = SAID.get(opName(node));
    if (say === undefined || isExcluded?.(node) === true || !isAmongBytes(node, tools.index)) {
      continue;
    }
    const made = say(node, tools);
    if (made !== undefined) edit.replace.set(node, made);
  }
  if (isEmptyEdit(edit)) return { graph, statistics };
  return { graph: dropUnused(applyEdit(graph, edit)), statistics: withTensors(statistics, added) };
}

function isAmongBytes(node: NodeProto, { producer, consumers }: GraphIndex): boolean {
  const maker = producer.get(node.input[0] ?? '');
  const readers = consumers.get(node.output[0] ?? '') ?? [];
  return maker !== undefined && mayBeInteger(maker) && readers.some(mayBeInteger);
}

function mayBeInteger(node: NodeProto): boolean {
  const op = opName(node);
  return OP_TABLE.has(op) || SAID.has(op);
}
