import type { Scheme } from '../contracts/scheme.ts';
import { QuantizeError } from '../quantize/errors.ts';
import { noiseOf } from './give-back.ts';
import type { MeasuredSource, Sensitivity } from './give-back.ts';
import type { Scored } from './scorer.ts';

/** Ops that do the work; they are looked at first. */
const HEAVY: ReadonlySet<string> = new Set([
  'Conv',
  'ConvTranspose',
  'Gemm',
  'MatMul',
  'CONV_2D',
  'DEPTHWISE_CONV_2D',
  'TRANSPOSE_CONV',
  'FULLY_CONNECTED',
  'BATCH_MATMUL',
]);
/** What the others do, next to these. */
const LITTLE = 0.1;

export interface LeaveOneOutTools {
  score(scheme: Scheme): Promise<Scored>;
  readonly signal: AbortSignal;
}

/**
 * Sensitivity where no simulated model can show it (bodies of control flow): the version is made again
 * without each of its nodes, and what noise is gone then is that node's. It takes a model for every
 * node, so it ends when the time is over: what was not looked at counts as silent.
 */
export async function leaveOneOut(
  scheme: Scheme,
  tools: LeaveOneOutTools,
  budgetMs: number,
): Promise<Sensitivity> {
  const end = performance.now() + budgetMs;
  const all = await tools.score(scheme);
  const total = noiseIn(all);
  const integer = all.ops.filter(({ precision }) => precision === 'integer');
  const isHeavy = ({ op }: { readonly op: string }) => HEAVY.has(op);
  const ordered = integer.toSorted((a, b) => Number(isHeavy(b)) - Number(isHeavy(a)));
  const nodes = new Map(ordered.map((row) => [row.node, row.op]));
  const sources: MeasuredSource[] = [];
  for (const label of nodes.keys()) {
    if (performance.now() > end) break;
    // oxlint-disable-next-line no-await-in-loop -- one after the other bounds the memory
    const without = await noiseWithout(label, scheme, tools);
    sources.push({
      kind: 'constants',
      name: label,
      units: [label],
      elements: 0,
      meetsFloat: false,
      noise: Math.max(0, total - without),
    });
  }
  const units = [...nodes].map(([label, op]) => {
    return { label, op, work: isHeavy({ op }) ? 1 : LITTLE };
  });
  return { sources, units };
}

async function noiseWithout(
  label: string,
  scheme: Scheme,
  tools: LeaveOneOutTools,
): Promise<number> {
  try {
    return noiseIn(await tools.score({ ...scheme, excluded: [...scheme.excluded, label] }));
  } catch (error) {
    // It was the only one: without it the model is the float model.
    if (error instanceof QuantizeError && error.code === 'NOTHING_TO_QUANTIZE') return 0;
    throw error;
  }
}

const noiseIn = ({ sqnrDb }: Scored) => (sqnrDb === null ? 0 : noiseOf(sqnrDb));
