import { expect, test } from '@jest/globals';
import { remembered } from '../../../agent/fit/samples/remembered.ts';
import type { Feeds } from '../../../agent/runtime/types.ts';

function source(count: number, values: number) {
  const counts = { reads: 0 };
  async function* read(): AsyncGenerator<Feeds> {
    counts.reads++;
    for (let n = 0; n < count; n++) {
      const data = new Float32Array(values).fill(n);
      yield await Promise.resolve({ x: { dtype: 'float32', shape: [values], data } });
    }
  }
  return { counts, read };
}

async function firsts(samples: AsyncIterable<Feeds>): Promise<unknown[]> {
  const seen: unknown[] = [];
  for await (const { x } of samples) seen.push(x?.data[0]);
  return seen;
}

test('few samples are read once for all passes, others each time', async () => {
  const small = source(3, 8);
  for (let pass = 0; pass < 3; pass++) {
    expect(await firsts(remembered('small', small.read))).toEqual([0, 1, 2]);
  }
  expect(small.counts.reads).toBe(1);
  const large = source(5, 2 ** 20);
  for (let pass = 0; pass < 2; pass++) {
    expect(await firsts(remembered('large', large.read))).toEqual([0, 1, 2, 3, 4]);
  }
  expect(large.counts.reads).toBe(2);
  expect(await firsts(remembered('small', small.read))).toEqual([0, 1, 2]);
  expect(small.counts.reads).toBe(2);
});

test('a pass that was broken off is not taken for all samples', async () => {
  const one = source(3, 8);
  for await (const feeds of remembered('broken', one.read)) {
    expect(feeds['x']).toBeDefined();
    break;
  }
  expect(await firsts(remembered('broken', one.read))).toEqual([0, 1, 2]);
  expect(one.counts.reads).toBe(2);
});
