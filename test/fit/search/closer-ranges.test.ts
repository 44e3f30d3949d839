import { expect, test } from '@jest/globals';
import { schemePresets } from '../../../agent/contracts/scheme.ts';
import type { Scheme } from '../../../agent/contracts/scheme.ts';
import { closerRanges, mayChooseRanges } from '../../../agent/fit/search/closer-ranges.ts';
import type { Scored } from '../../../agent/fit/search/scorer.ts';

const SCHEME: Scheme = schemePresets['int8-static'];
const CLOSER: Scheme = { ...SCHEME, observer: 'moving-average' };

function scorer(sqnrDb: number | null | Error) {
  const asked: Scheme[] = [];
  const score = (scheme: Scheme): Promise<Scored> => {
    asked.push(scheme);
    if (sqnrDb instanceof Error) return Promise.reject(sqnrDb);
    return Promise.resolve({ scheme, path: '', bytes: 0, ops: [], sqnrDb, ms: 1 });
  };
  return { asked, score, signal: new AbortController().signal };
}

test.each([
  ['clearly better', 22, 27, CLOSER],
  ['a little better', 22, 25.9, SCHEME],
  ['worse', 22, 10, SCHEME],
])('closer ranges that are %s', async (_, plain, other, expected) => {
  const tried = scorer(other);
  const { scheme } = await closerRanges({ scheme: SCHEME, sqnrDb: plain }, tried);
  expect(scheme).toEqual(expected);
  expect(tried.asked).toEqual([CLOSER]);
});

test('what is good already is left alone, without a second version', async () => {
  const tried = scorer(60);
  expect(await closerRanges({ scheme: SCHEME, sqnrDb: 30 }, tried)).toMatchObject({ sqnrDb: 30 });
  expect(await closerRanges({ scheme: SCHEME, sqnrDb: null }, tried)).toMatchObject({
    sqnrDb: null,
  });
  expect(tried.asked).toEqual([]);
});

test('a second version that cannot be made costs nothing', async () => {
  const made = await closerRanges({ scheme: SCHEME, sqnrDb: 9 }, scorer(new Error('refused')));
  expect(made).toEqual({ scheme: SCHEME, sqnrDb: 9 });
});

test('ranges that somebody asked for stay as they are', () => {
  const free = { scheme: 'int8-static', ranges: [] } as const;
  expect(mayChooseRanges(SCHEME, free)).toBe(true);
  expect(mayChooseRanges(SCHEME, { ...free, observer: 'min-max' })).toBe(false);
  expect(mayChooseRanges(SCHEME, { ...free, saveRanges: 'r.json' })).toBe(false);
  expect(mayChooseRanges(SCHEME, { ...free, ranges: ['r.json'] })).toBe(false);
  expect(mayChooseRanges(SCHEME, { ...free, scheme: { recipe: 'one.json' } })).toBe(false);
  expect(mayChooseRanges(CLOSER, free)).toBe(false);
});
