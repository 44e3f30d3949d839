import { describe, expect, test } from '@jest/globals';
import { SplitClock, fastestSplit } from '../../../agent/fit/search/fastest-split.ts';
import type { SplitFacts } from '../../../agent/fit/search/fastest-split.ts';

/** input -> a -> b -> c -> output; every tensor has 1000 elements, and each border costs 0.1 ms. */
function chain(times: Readonly<Record<string, readonly [float: number, integer: number]>>) {
  const tensor = (name: string, units: readonly string[], meetsFloat: boolean) =>
    ({ kind: 'activation', name, units, elements: 1000, meetsFloat }) as const;
  const units = Object.entries(times).map(([label, [floatMs, integerMs]]) => {
    return { label, floatMs, integerMs };
  });
  const facts: SplitFacts = {
    sources: [
      tensor('input', ['a'], true),
      tensor('ab', ['a', 'b'], false),
      tensor('bc', ['b', 'c'], false),
      tensor('output', ['c'], true),
    ],
    // Two borders of 1000 elements took 0.1 ms; reordering doubles that.
    times: { units, convertingMs: 0.1 },
  };
  return facts;
}

describe('where to leave integers for speed', () => {
  test('time is that of the kernels and of the borders', () => {
    const clock = new SplitClock(chain({ a: [1, 0.5], b: [2, 1], c: [3, 1.5] }));
    expect(clock.total(new Set())).toBeCloseTo(3 + 0.2, 9);
    expect(clock.total(new Set(['b']))).toBeCloseTo(0.5 + 2 + 1.5 + 0.4, 9);
    expect(clock.total(new Set(['a', 'b', 'c']))).toBeCloseTo(6, 9);
  });

  test('a node that is much slower in integers goes to float', () => {
    const facts = chain({ a: [1, 0.5], b: [0.2, 2], c: [3, 1.5] });
    expect([...fastestSplit(facts, new Set())]).toEqual(['b']);
  });

  test('a node that gains less than its borders cost stays', () => {
    const facts = chain({ a: [1, 0.5], b: [0.5, 0.6], c: [3, 1.5] });
    expect([...fastestSplit(facts, new Set())]).toEqual([]);
  });

  test('an island between nodes in float that does not pay goes to float, too', () => {
    const facts = chain({ a: [1, 0.5], b: [0.5, 0.4], c: [3, 1.5] });
    const split = fastestSplit(facts, new Set(['a', 'c']));
    expect([...split].toSorted()).toEqual(['a', 'b', 'c']);
  });
});
