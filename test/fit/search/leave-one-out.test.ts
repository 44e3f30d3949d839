import { expect, test } from '@jest/globals';
import { schemePresets } from '../../../agent/contracts/scheme.ts';
import type { Scheme } from '../../../agent/contracts/scheme.ts';
import { giveBack } from '../../../agent/fit/search/give-back.ts';
import { leaveOneOut } from '../../../agent/fit/search/leave-one-out.ts';
import type { Scored } from '../../../agent/fit/search/scorer.ts';
import { QuantizeError } from '../../../agent/quantize/errors.ts';

const NOISE: Readonly<Record<string, number>> = { a: 0.03, b: 0.001, c: 0.004 };

/** A model of three convolutions whose noises add up. */
function score({ excluded }: Scheme): Promise<Scored> {
  const left = Object.entries(NOISE).filter(([label]) => !excluded.includes(label));
  if (left.length === 0) return Promise.reject(new QuantizeError('NOTHING_TO_QUANTIZE', 'none'));
  const noise = left.reduce((sum, [, one]) => sum + one, 0);
  const ops = [
    ...left.map(([node]) => ({ node, op: 'Conv', precision: 'integer' as const })),
    { node: 'r', op: 'Relu', precision: 'integer' as const },
  ];
  const scheme = schemePresets['int8-static'];
  return Promise.resolve({
    scheme,
    path: '',
    bytes: 0,
    ops,
    ms: 1,
    sqnrDb: -10 * Math.log10(noise),
  });
}

test('what is gone without a node is its noise', async () => {
  const found = await leaveOneOut(schemePresets['int8-static'], score, 10_000);
  expect(found.sources.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'r']);
  for (const { name, noise } of found.sources) expect(noise).toBeCloseTo(NOISE[name] ?? 0, 9);
  expect([...giveBack(found, 0.01)]).toEqual(['a']);
});

test('without time, what was not told apart shares the noise', async () => {
  const { sources, units } = await leaveOneOut(schemePresets['int8-static'], score, 0);
  const noises = sources.map(({ noise }) => noise);
  expect(noises).toHaveLength(4);
  // All of them together were left out once.
  for (const noise of noises) expect(noise).toBeCloseTo(0.035 / 4, 9);
  expect(units.map(({ work }) => work)).toEqual([1, 1, 1, 0.1]);
});
