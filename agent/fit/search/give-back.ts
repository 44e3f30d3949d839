import type { NoiseSource, UnitWork } from '../../quantize/onnx/noise-sources.ts';

/** A source of noise with its power in the outputs, as a share of the outputs' own power. */
export interface MeasuredSource extends NoiseSource {
  readonly noise: number;
}

/** What sensitivity analysis knows of a model. */
export interface Sensitivity {
  readonly sources: readonly MeasuredSource[];
  readonly units: readonly UnitWork[];
}

/** Noise is independent from source to source, nearly: powers add up. */
export function predictedNoise(
  { sources }: Pick<Sensitivity, 'sources'>,
  excluded: ReadonlySet<string>,
): number {
  const left = sources.filter(({ units }) => units.some((label) => !excluded.has(label)));
  return left.reduce((sum, { noise }) => sum + noise, 0);
}

/**
 * The integer nodes to give back to float so that the predicted noise is at most `target`, for little
 * work: step by step those that take away most noise per work. One step is one node, or all nodes at
 * one tensor, which stays in integers until the last of them is given back. What later steps made
 * superfluous is taken back in the end, the costliest first.
 * @param start nodes that are in float already, and stay there
 * @param target noise power as a share of the outputs' power: 0.01 is 20 dB
 */
export function giveBack(
  sensitivity: Sensitivity,
  target: number,
  start: ReadonlySet<string> = new Set(),
): ReadonlySet<string> {
  const excluded = new Set(start);
  const work = new Map(sensitivity.units.map((unit) => [unit.label, unit.work]));
  while (predictedNoise(sensitivity, excluded) > target) {
    const step = bestStep(sensitivity, excluded, work);
    if (step === undefined) break;
    for (const label of step) excluded.add(label);
  }
  const added = [...excluded].filter((label) => !start.has(label));
  return takeBack(sensitivity, { excluded, added }, target, work);
}

type Work = ReadonlyMap<string, number>;

/** Share of all work below which a step is as good as free. */
const FREE = 1e-4;

function bestStep(
  { sources }: Sensitivity,
  excluded: ReadonlySet<string>,
  work: Work,
): readonly string[] | undefined {
  // What costs nothing is compared by its gain alone.
  const free = Number.EPSILON + FREE * [...work.values()].reduce((sum, one) => sum + one, 0);
  const open = sources.flatMap(({ units, noise }) => {
    const left = units.filter((label) => !excluded.has(label));
    return left.length === 0 || noise <= 0 ? [] : [{ left, noise }];
  });
  const atUnit = new Map<string, { left: readonly string[]; noise: number }[]>();
  for (const source of open) {
    for (const label of source.left) atUnit.set(label, [...(atUnit.get(label) ?? []), source]);
  }
  let best: readonly string[] | undefined;
  let bestRate = 0;
  for (const { left: step } of open) {
    const inStep = new Set(step);
    const near = new Set(step.flatMap((label) => atUnit.get(label) ?? []));
    const gone = [...near].filter(({ left }) => left.every((label) => inStep.has(label)));
    const gain = gone.reduce((sum, { noise }) => sum + noise, 0);
    const rate = gain / (free + step.reduce((sum, label) => sum + (work.get(label) ?? 0), 0));
    if (rate <= bestRate) continue;
    best = step;
    bestRate = rate;
  }
  return best;
}

function takeBack(
  sensitivity: Sensitivity,
  { excluded, added }: { excluded: ReadonlySet<string>; added: readonly string[] },
  target: number,
  work: Work,
): ReadonlySet<string> {
  const kept = new Set(excluded);
  if (predictedNoise(sensitivity, kept) > target) return kept;
  const costly = added.toSorted((a, b) => (work.get(b) ?? 0) - (work.get(a) ?? 0));
  for (const label of costly) {
    kept.delete(label);
    if (predictedNoise(sensitivity, kept) > target) kept.add(label);
  }
  return kept;
}

/** Signal to noise in dB as a noise share, and back. */
export const noiseOf = (decibel: number): number => 10 ** (-decibel / 10);
export const decibelOf = (noise: number): number => -10 * Math.log10(noise);
