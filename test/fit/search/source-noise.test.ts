import { expect, test } from '@jest/globals';
import { noiseBySource } from '../../../agent/fit/search/source-noise.ts';

const POWERS = [0, 0, 0.5, 0, 0, 0, 0.25, 0];

function meter() {
  const asked: string[] = [];
  const measure = (on: readonly number[]) => {
    asked.push(on.join());
    return Promise.resolve(on.reduce((sum, source) => sum + (POWERS[source] ?? 0), 0));
  };
  return { asked, measure };
}

test('every source by itself where there is time', async () => {
  const { asked, measure } = meter();
  const found = await noiseBySource({ count: 8, measure, all: true, isOver: () => true });
  expect([...found]).toEqual(POWERS);
  expect(asked).toHaveLength(8);
});

test('where there is not, the noisiest group is split until the time is over', async () => {
  const { asked, measure } = meter();
  let left = 3;
  const isOver = () => left-- <= 0;
  const found = await noiseBySource({ count: 8, measure, all: false, isOver });
  expect(asked).toEqual(['0,1,2,3,4,5,6,7', '0,1,2,3', '4,5,6,7', '0,1', '2,3', '2', '3']);
  expect([...found]).toEqual([0, 0, 0.5, 0, 0.0625, 0.0625, 0.0625, 0.0625]);
});
