import type { NoiseSource } from '../../quantize/onnx/noise-sources.ts';
import type { LayerTimes } from './node-times.ts';

/** What decides where a model should leave integers for speed. */
export interface SplitFacts {
  readonly sources: readonly NoiseSource[];
  readonly times: LayerTimes;
}

/** ms per element and direction where the profile shows no conversion: about 2 GB/s. */
const USUAL_RATE = 5e-7;
/** Beside Quantize and Dequantize a border often reorders the tensor, which takes as long again. */
const REORDERING = 2;
/** A move must spare this share of the whole; less is noise of the profile. */
const CLEARLY = 0.002;
const ROUNDS = 4;

/**
 * The nodes to give back to float because that is faster: slow integer kernels, and islands of integers
 * that do not pay for their borders. `given` stays in float whatever it costs. A local search: every
 * node by itself, and all nodes at one tensor, are tried on the other side as long as that helps.
 */
export function fastestSplit(facts: SplitFacts, given: ReadonlySet<string>): ReadonlySet<string> {
  const clock = new SplitClock(facts);
  const float = new Set(given);
  const enough = clock.total(new Set()) * CLEARLY;
  const groups = [
    ...facts.times.units.map(({ label }) => [label]),
    ...facts.sources.filter(({ units }) => units.length > 1).map(({ units }) => [...units]),
  ];
  for (let round = 0, moved = true; moved && round < ROUNDS; round++) {
    moved = false;
    for (const group of groups) {
      const free = group.filter((label) => !given.has(label) && clock.isTimed(label));
      const toFloat = free.some((label) => !float.has(label));
      const before = clock.total(float);
      const changed = free.filter((label) => float.has(label) !== toFloat);
      flip(float, changed, toFloat);
      if (changed.length > 0 && before - clock.total(float) > enough) moved = true;
      else flip(float, changed, !toFloat);
    }
  }
  return float;
}

function flip(set: Set<string>, labels: readonly string[], into: boolean): void {
  for (const label of labels) {
    if (into) set.add(label);
    else set.delete(label);
  }
}

/** Adds up what a split would take, by the times of a profile. */
export class SplitClock {
  private readonly facts: SplitFacts;
  private readonly rate: number;
  private readonly times: ReadonlyMap<string, { floatMs: number; integerMs: number }>;

  constructor(facts: SplitFacts) {
    this.facts = facts;
    this.times = new Map(facts.times.units.map((unit) => [unit.label, unit]));
    const converted = this.elementsAtBorders(new Set());
    const seen = converted === 0 ? 0 : facts.times.convertingMs / converted;
    this.rate = (seen === 0 ? USUAL_RATE : seen) * REORDERING;
  }

  isTimed(label: string): boolean {
    return this.times.has(label);
  }

  /** ms of one run with these nodes in float. */
  total(float: ReadonlySet<string>): number {
    let sum = this.elementsAtBorders(float) * this.rate;
    for (const [label, { floatMs, integerMs }] of this.times) {
      sum += float.has(label) ? floatMs : integerMs;
    }
    return sum;
  }

  /** Elements of tensors that are integers on one side and floats on the other. */
  private elementsAtBorders(float: ReadonlySet<string>): number {
    let sum = 0;
    for (const { units, elements, meetsFloat } of this.facts.sources) {
      const inFloat = units.filter((label) => float.has(label)).length;
      if (inFloat < units.length && (meetsFloat || inFloat > 0)) sum += elements;
    }
    return sum;
  }
}
