import { describe, expect, test } from '@jest/globals';
import {
  decibelOf,
  giveBack,
  noiseOf,
  predictedNoise,
} from '../../../agent/fit/search/give-back.ts';
import type { MeasuredSource, Sensitivity } from '../../../agent/fit/search/give-back.ts';

const source = (
  kind: MeasuredSource['kind'],
  name: string,
  noise: number,
  units: readonly string[],
): MeasuredSource => ({ kind, name, noise, units, elements: 0, meetsFloat: false });

function sensitivity(
  work: Readonly<Record<string, number>>,
  ...sources: readonly MeasuredSource[]
): Sensitivity {
  const units = Object.entries(work).map(([label, cost]) => ({ label, op: 'Conv', work: cost }));
  return { units, sources };
}

describe('giving layers back', () => {
  const chain = sensitivity(
    { a: 10, b: 10, c: 10 },
    source('constants', 'a', 0.004, ['a']),
    source('constants', 'b', 0.02, ['b']),
    source('activation', 'b to c', 0.001, ['b', 'c']),
    source('constants', 'c', 0.003, ['c']),
  );

  test('adds up noise, and an activation stays until the last node at it is in float', () => {
    expect(predictedNoise(chain, new Set())).toBeCloseTo(0.028, 12);
    expect(predictedNoise(chain, new Set(['b']))).toBeCloseTo(0.008, 12);
    expect(predictedNoise(chain, new Set(['b', 'c']))).toBeCloseTo(0.004, 12);
  });

  test('nothing where the target is met already', () => {
    expect([...giveBack(chain, 0.03)]).toEqual([]);
  });

  test('only the node that costs most where that is enough', () => {
    expect([...giveBack(chain, noiseOf(20))]).toEqual(['b']);
  });

  test('everything at one bad tensor, for neither end alone mends it', () => {
    const bad = sensitivity(
      { a: 1, b: 1, c: 1 },
      source('constants', 'a', 0.0001, ['a']),
      source('activation', 'x', 0.05, ['a', 'b']),
      source('constants', 'c', 0.004, ['c']),
    );
    expect([...giveBack(bad, 0.01)].toSorted()).toEqual(['a', 'b']);
  });

  test('prefers noise that costs little time', () => {
    const uneven = sensitivity(
      { big: 1000, small: 10 },
      source('constants', 'big', 0.02, ['big']),
      source('constants', 'small', 0.015, ['small']),
    );
    expect([...giveBack(uneven, 0.021)]).toEqual(['small']);
  });

  test('takes back what later steps made superfluous', () => {
    // By noise per work `cheap` goes first, but `dear` has to go as well and is enough by itself.
    const sources = sensitivity(
      { cheap: 1, dear: 100 },
      source('constants', 'cheap', 0.004, ['cheap']),
      source('constants', 'dear', 0.1, ['dear']),
    );
    expect([...giveBack(sources, 0.005)]).toEqual(['dear']);
  });

  test('what is in float already stays there', () => {
    expect([...giveBack(chain, 0.03, new Set(['a']))]).toEqual(['a']);
  });

  test('everything where the target cannot be met', () => {
    expect(giveBack(chain, 0).size).toBe(3);
  });

  test('20 dB is one per cent of the power', () => {
    expect(noiseOf(20)).toBeCloseTo(0.01, 12);
    expect(decibelOf(0.001)).toBeCloseTo(30, 12);
  });
});
