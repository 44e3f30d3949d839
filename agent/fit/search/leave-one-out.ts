import { rm } from 'node:fs/promises';
import type { Scheme } from '../../contracts/scheme.ts';
import { QuantizeError } from '../../quantize/errors.ts';
import { noiseOf } from './give-back.ts';
import type { Sensitivity } from './give-back.ts';
import type { Scored } from './scorer.ts';
import { noiseBySource } from './source-noise.ts';

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

/** Makes a version of a scheme and scores it. */
export type Score = (scheme: Scheme) => Promise<Scored>;

/**
 * Sensitivity where no simulated model can show it (TFLite, bodies of control flow): the version is
 * made again without some of its nodes, and the noise that is gone then is theirs. Where there is no
 * time for each of them, groups are split where it is loud (`noiseBySource`).
 */
export async function leaveOneOut(
  scheme: Scheme,
  score: Score,
  budgetMs: number,
): Promise<Sensitivity> {
  const start = performance.now();
  const all = await score(scheme);
  const integer = all.ops.filter(({ precision }) => precision === 'integer');
  const ordered = integer.toSorted((a, b) => Number(isHeavy(b.op)) - Number(isHeavy(a.op)));
  const nodes = [...new Map(ordered.map(({ node, op }) => [node, op]))];
  const total = noiseIn(all);
  const measure = async (on: readonly number[]) => {
    const without = on.flatMap((at) => nodes[at]?.[0] ?? []);
    return Math.max(0, total - (await noiseWithout(without, scheme, score)));
  };
  const before = performance.now();
  const first = nodes.length === 0 ? 0 : await measure([0]);
  const ms = performance.now() - before;
  const noises = await noiseBySource({
    count: nodes.length,
    all: ms * nodes.length <= budgetMs,
    isOver: () => performance.now() - start > budgetMs,
    measure: (on) => (on.length === 1 && on[0] === 0 ? Promise.resolve(first) : measure(on)),
  });
  return {
    sources: nodes.map(([label], at) => ({
      kind: 'constants',
      name: label,
      units: [label],
      elements: 0,
      meetsFloat: false,
      noise: noises[at] ?? 0,
    })),
    units: nodes.map(([label, op]) => ({ label, op, work: isHeavy(op) ? 1 : LITTLE })),
  };
}

const isHeavy = (op: string) => HEAVY.has(op);

async function noiseWithout(
  labels: readonly string[],
  scheme: Scheme,
  score: Score,
): Promise<number> {
  try {
    const scored = await score({ ...scheme, excluded: [...scheme.excluded, ...labels] });
    // Only its noise was wanted.
    await rm(scored.path, { force: true });
    return noiseIn(scored);
  } catch (error) {
    // Nothing is left in integers: that is the float model.
    if (error instanceof QuantizeError && error.code === 'NOTHING_TO_QUANTIZE') return 0;
    throw error;
  }
}

const noiseIn = ({ sqnrDb }: Scored) => (sqnrDb === null ? 0 : noiseOf(sqnrDb));
