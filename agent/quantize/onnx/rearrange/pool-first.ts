import { applyEdit, isEmptyEdit, newEdit } from '../../../model/onnx/edit.ts';
import type { NodeProto } from '../../../model/onnx/generated/messages.ts';
import { floatAttribute, indexGraph, nameMaker, opName } from '../../../model/onnx/graph.ts';
import type { GraphIndex } from '../../../model/onnx/graph.ts';
import { tensorNumbers } from '../../../model/onnx/tensor.ts';
import type { TensorStatistics } from '../../../model/statistics.ts';
import { withTensors } from './rearranged.ts';
import type { Rearranged } from './rearranged.ts';

/**
 * The largest of f(x) is f of the largest x where f never falls; and channels can be picked after
 * pooling as well as before. So MaxPool goes first: what follows it has less to do.
 */
export function poolFirst({ graph, statistics, isExcluded }: Rearranged): Rearranged {
  const index = indexGraph(graph);
  const edit = newEdit();
  const unique = nameMaker(graph);
  const added = new Map<string, TensorStatistics>();
  for (const pool of graph.node) {
    const before = index.producer.get(pool.input[0] ?? '');
    if (before === undefined || !isPlainPool(pool) || edit.replace.has(before)) continue;
    if (isExcluded?.(pool) === true || isExcluded?.(before) === true) continue;
    const [x = ''] = before.input;
    const [name = ''] = before.output;
    const alone = index.consumers.get(name)?.length === 1 && !index.outputs.has(name);
    const [output = ''] = pool.output;
    const [seen, larger, pooled] = [x, name, output].map((one) => statistics.tensors.get(one));
    const known = seen !== undefined && larger !== undefined && pooled !== undefined;
    if (!alone || !known || !mayFollow(before, index)) continue;
    const middle = unique(`${x}_pooled`);
    edit.replace.set(before, [{ ...pool, input: [x], output: [middle] }]);
    edit.replace.set(pool, [
      { ...before, input: [middle, ...before.input.slice(1)], output: pool.output },
    ]);
    // No channel means: those of the larger tensor are not those of the maxima.
    const { dtype, min, max, seenMin, seenMax } = seen;
    const shape = [...seen.shape.slice(0, 2), ...pooled.shape.slice(2)];
    added.set(middle, { dtype, shape, min, max, seenMin, seenMax });
    added.set(output, { ...pooled, ...rangeOf(larger) });
  }
  if (isEmptyEdit(edit)) return { graph, statistics };
  return { graph: applyEdit(graph, edit), statistics: withTensors(statistics, added) };
}

/**
 * What is pooled has been rounded in the range of the larger tensor, as it would be behind it; a
 * closer range, of the maxima seen, would cut off those of other data.
 */
function rangeOf({ min, max, seenMin, seenMax }: TensorStatistics) {
  return { min, max, seenMin, seenMax };
}

function isPlainPool(node: NodeProto): boolean {
  return opName(node) === 'MaxPool' && (node.output[1] ?? '') === '';
}

/** Ops that never fall, and a slice of channels. */
function mayFollow(node: NodeProto, { initializers }: GraphIndex): boolean {
  const op = opName(node);
  if (op === 'LeakyRelu') return (floatAttribute(node, 'alpha') ?? 0.01) >= 0;
  if (op === 'Sigmoid' || op === 'Tanh') return true;
  const axes = initializers.get(node.input[3] ?? '');
  return op === 'Slice' && axes !== undefined && tensorNumbers(axes).every((axis) => axis === 1);
}
