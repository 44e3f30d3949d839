import { reachedSubgraphs } from '../../model/tflite/calls.ts';
import { opName } from '../../model/tflite/graph.ts';
import { numericKind } from '../../model/tflite/numeric-kind.ts';
import type { TfliteModel, TfliteOperator } from '../../model/tflite/types.ts';
import { QuantizeError } from '../errors.ts';
import type { OpReport } from '../report.ts';
import type { Prepared } from './prepare-graph.ts';
import type { StaticPlan } from './static-plan.ts';
import { isWithoutFloats } from './units.ts';

/**
 * What becomes of every operator of the file but those that only decode constants; other subgraphs
 * than the first stay as they are.
 */
export function reportOps(
  model: TfliteModel,
  { given, units, hybrid, reasons, moved }: StaticPlan & Pick<Prepared, 'moved'>,
  labels: ReadonlyMap<TfliteOperator, string>,
): readonly OpReport[] {
  const integerOnly = given.scheme.integerOnly === true;
  const called = new Set(reachedSubgraphs(model));
  return model.subgraphs.flatMap((graph, subgraph) =>
    graph.operators.flatMap((operator): readonly OpReport[] => {
      const row = { node: labels.get(operator) ?? '', op: opName(operator) };
      const now = moved.get(operator) ?? operator;
      const isInteger = units.has(now) || isWithoutFloats(graph, now) || SHAPES.has(now.op);
      if (isInteger) return [{ ...row, precision: 'integer' }];
      if (subgraph === 0 && given.stored.has(operator.outputs[0] ?? -1)) return [];
      const staysHybrid = !integerOnly && numericKind(graph, operator) === 'hybrid';
      if (hybrid.has(now) || staysHybrid) return [{ ...row, precision: 'integer', reason: HYBRID }];
      const unseen = called.has(subgraph) ? CALLED : APART;
      const reason = subgraph === 0 ? (reasons.get(now) ?? 'left as it is') : unseen;
      return [{ ...row, precision: 'float', reason }];
    }),
  );
}

/** What they read may be float; what they compute with is not. */
const SHAPES: ReadonlySet<string> = new Set(['SHAPE', 'RANK']);

const HYBRID = 'its weights are int8; activations are quantized as it runs';
const CALLED = 'control flow calls its subgraph, which cannot be calibrated from outside';
const APART = 'its subgraph is not the first one, which alone is run';

export function nothing(why: string): QuantizeError {
  const message = `nothing of this model can run in integers: ${why}`;
  return new QuantizeError('NOTHING_TO_QUANTIZE', message);
}

export function nothingMessage(ops: readonly OpReport[]): string {
  const [first] = ops.filter(({ reason }) => reason !== undefined);
  return first === undefined
    ? 'it computes with no floats'
    : `${first.op} '${first.node}': ${first.reason ?? ''}`;
}
