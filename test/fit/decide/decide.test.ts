import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { applyDecision, decide } from '../../../agent/fit/decide/decide.ts';
import { SAME } from '../../../agent/fit/decide/criteria.ts';
import type { MeasuredRow, Objective } from '../../../agent/fit/types.ts';
import { labelled, row, unlabelled } from '../fixtures.ts';

const reasonOf = (rows: readonly MeasuredRow[], objective: Objective, id: string) =>
  decide(rows, objective).verdicts.find((one) => one.id === id)?.reason;

const FLOAT1 = 'onnxruntime/fp32/t1';
const FLOAT2 = 'onnxruntime/fp32/t2';
const STATIC1 = 'onnxruntime/int8-static/t1';
const STATIC2 = 'onnxruntime/int8-static/t2';
const DYNAMIC1 = 'onnxruntime/int8-dynamic/t1';

test('the fastest that is accurate enough, with figures for all others', () => {
  const rows = [
    row(FLOAT1, { p50: 5.4, drop: 0 }),
    row(FLOAT2, { p50: 3.1, drop: 0 }),
    row(STATIC1, { p50: 2.9, drop: 0.2 }),
    row(STATIC2, { p50: 1.7, drop: 0.2 }),
    row(DYNAMIC1, { p50: 1.5, drop: 5.6 }),
    row('onnxruntime/fp16/t1', { error: 'out of memory in the runtime' }),
  ];
  const decision = decide(rows, labelled);
  expect(decision.chosen).toBe(STATIC2);
  expect(decision.warnings).toEqual([]);
  expect(decision.verdicts.map(({ verdict, reason }) => `${verdict}: ${reason}`)).toEqual([
    'rejected: 3.2x slower than the choice (5.40 against 1.70 ms)',
    'rejected: 1.8x slower than the choice (3.10 against 1.70 ms)',
    'rejected: 1.7x slower than the choice (2.90 against 1.70 ms)',
    'chosen: fastest: 1.70 ms; 1.8x faster than fp32 at its best (1.70 against 3.10 ms); loses 0.2 points of top1 (allowed 1.0)',
    'rejected: loses 5.6 points of top1 (allowed 1.0)',
    'failed: out of memory in the runtime',
  ]);
});

test('INT8 that is slower here than float is never chosen', () => {
  const rows = [row(FLOAT1, { p50: 1.7, drop: 0 }), row(STATIC1, { p50: 1.9, drop: 0 })];
  expect(decide(rows, labelled).chosen).toBe(FLOAT1);
  expect(reasonOf(rows, labelled, STATIC1)).toBe(
    '1.1x slower than float here (1.90 against 1.70 ms)',
  );
  expect(reasonOf(rows, labelled, FLOAT1)).toBe(
    'fastest: 1.70 ms; no smaller version is both as fast and accurate enough',
  );
});

test('not even where size is what counts', () => {
  const rows = [row(FLOAT1, { p50: 1, drop: 0 }), row(STATIC1, { p50: 1.1, drop: 0 })];
  expect(decide(rows, { ...labelled, optimize: 'size' }).chosen).toBe(FLOAT1);
});

test('two reasons against are both told', () => {
  const rows = [row(FLOAT1, { p50: 1, drop: 0 }), row(STATIC1, { p50: 2, drop: 3 })];
  expect(reasonOf(rows, labelled, STATIC1)).toBe(
    'loses 3.0 points of top1 (allowed 1.0); 2.0x slower than float here (2.00 against 1.00 ms)',
  );
});

test('same speed: fewer threads', () => {
  const rows = [row(FLOAT1, { p50: 1.02 }), row(FLOAT2, { p50: 1.0 })];
  expect(decide(rows, unlabelled).chosen).toBe(FLOAT1);
  expect(reasonOf(rows, unlabelled, FLOAT2)).toBe(
    `same speed as ${FLOAT1} (within 3%) but uses 2 threads instead of 1`,
  );
  expect(reasonOf(rows, unlabelled, FLOAT1)).toBe(
    `1.02 ms, same speed as ${FLOAT2} (within 3%) with fewer threads`,
  );
});

test('same speed and threads: the smaller file', () => {
  const rows = [row(FLOAT1, { p50: 1.0 }), row(STATIC1, { p50: 0.99, sqnr: 35 })];
  expect(decide(rows, unlabelled).chosen).toBe(STATIC1);
  expect(reasonOf(rows, unlabelled, FLOAT1)).toBe(
    `same speed as ${STATIC1} (within 3%) but 4.0x larger than the choice (4.00 MB against 1.00 MB)`,
  );
});

test('same speed, threads and size: float', () => {
  const rows = [
    row(FLOAT1, { p50: 1.0, bytes: 1000 }),
    row(STATIC1, { p50: 0.99, sqnr: 35, bytes: 990 }),
  ];
  expect(decide(rows, unlabelled).chosen).toBe(FLOAT1);
  expect(reasonOf(rows, unlabelled, STATIC1)).toBe(
    `same speed as ${FLOAT1} (within 3%) but int8 gains nothing over the file as it is`,
  );
});

test.each([
  [20, STATIC1],
  [19.96, FLOAT1],
  [12.3, FLOAT1],
  [null, STATIC1],
  [Number.NaN, FLOAT1],
  [-Infinity, FLOAT1],
  [undefined, FLOAT1],
])('without labels: SQNR %s against a floor of 20 dB', (sqnr, expected) => {
  const shape = sqnr === undefined ? {} : { sqnr };
  const rows = [row(FLOAT1, { p50: 2 }), row(STATIC1, { p50: 1, ...shape })];
  expect(decide(rows, unlabelled).chosen).toBe(expected);
});

test('reasons about SQNR tell the figures apart', () => {
  const rows = (sqnr: number) => [row(FLOAT1, { p50: 2 }), row(STATIC1, { p50: 1, sqnr })];
  expect(reasonOf(rows(12.3), unlabelled, STATIC1)).toBe(
    'SQNR 12.3 dB is under the floor of 20.0 dB',
  );
  expect(reasonOf(rows(19.96), unlabelled, STATIC1)).toBe(
    'SQNR 19.96 dB is under the floor of 20.00 dB',
  );
});

test('with labels the task counts, not SQNR, unless a floor was given', () => {
  const rows = [row(FLOAT1, { p50: 2, drop: 0 }), row(STATIC1, { p50: 1, drop: 0.5, sqnr: 10 })];
  expect(decide(rows, labelled).chosen).toBe(STATIC1);
  expect(decide(rows, { ...labelled, minSqnrDb: 20 }).chosen).toBe(FLOAT1);
});

test('a drop of exactly the allowed size passes, in spite of rounding', () => {
  const one = row(STATIC1, { p50: 1, drop: 1 });
  const accuracy = { metric: 'top1', value: 0.58 - 0.01, drop: 0.58 - 0.57, samples: 10_000 };
  expect(decide([row(FLOAT1, { p50: 2, drop: 0 }), { ...one, accuracy }], labelled).chosen).toBe(
    STATIC1,
  );
});

test('few samples: the count, the standard error and what one sample is worth', () => {
  const rows = [
    row(FLOAT1, { p50: 2, drop: 0, value: 1, samples: 50 }),
    row(STATIC1, { p50: 1, drop: 4, value: 0.96, samples: 50 }),
  ];
  // sqrt(0.96 * 0.04 / 50) = 0.0277; 1 / 50 = 0.02
  expect(reasonOf(rows, labelled, STATIC1)).toBe(
    'loses 4.0 points of top1 (allowed 1.0) over 50 samples (standard error 2.8, one sample is 2.0)',
  );
  expect(decide(rows, labelled).warnings).toEqual([
    'top1 rests on 50 labelled samples: its standard error is 0.0 points and one sample is 2.0, so a drop of 1.0 may be chance',
  ]);
});

test('a float model that is hardly ever right is no measure: inputs or labels are wrong', () => {
  const rowsOf = (value: number) => [
    row(FLOAT1, { p50: 2, drop: 0, value, samples: 10_000 }),
    row(STATIC1, { p50: 1, drop: 0, value, samples: 10_000 }),
  ];
  expect(decide(rowsOf(0.0125), labelled).warnings).toEqual([
    'the model as it was given reaches only 1.3 % of top1: check how inputs are prepared (--mean, --std, --color, or the manifest) and what labels count from (task.labelOffset)',
  ]);
  expect(decide(rowsOf(0.1), labelled).warnings).toEqual([]);
});

test('a limit on p90 prefers rows that meet it', () => {
  const rows = [
    row(FLOAT1, { p50: 1.0, p90: 9 }),
    row(FLOAT2, { p50: 1.5, p90: 1.6 }),
    row(STATIC1, { p50: 0.9, p90: 5.25, sqnr: 40 }),
  ];
  const limited = { ...unlabelled, maxP90Ms: 5 };
  expect(decide(rows, limited).chosen).toBe(FLOAT2);
  expect(reasonOf(rows, limited, STATIC1)).toBe('p90 is over the limit (5.25 against 5.00 ms)');
});

test('a limit on p90 that nothing meets is told with the choice', () => {
  const rows = [row(FLOAT1, { p50: 7, p90: 8 }), row(FLOAT2, { p50: 6, p90: 6.5 })];
  const limited = { ...unlabelled, maxP90Ms: 5 };
  expect(decide(rows, limited).chosen).toBe(FLOAT2);
  expect(reasonOf(rows, limited, FLOAT2)).toBe(
    'fastest: 6.00 ms; p90 is over the limit (6.50 against 5.00 ms)',
  );
  expect(reasonOf(rows, limited, FLOAT1)).toBe(
    '1.2x slower than the choice (7.00 against 6.00 ms)',
  );
});

test('size and memory as the thing to optimize', () => {
  const rows = [
    row(FLOAT1, { p50: 1, peak: 90e6 }),
    row(STATIC1, { p50: 0.9, sqnr: 30, peak: 80e6 }),
    row(STATIC2, { p50: 0.5, sqnr: 30, peak: 85e6 }),
  ];
  expect(decide(rows, { ...unlabelled, optimize: 'size' }).chosen).toBe(STATIC2);
  const memory = { ...unlabelled, optimize: 'memory' } as const;
  expect(decide(rows, memory).chosen).toBe(STATIC1);
  expect(reasonOf(rows, memory, FLOAT1)).toBe(
    'needs more memory than the choice (peak 90.0 MB against 80.0 MB)',
  );
  expect(reasonOf(rows, memory, STATIC1)).toMatch(/^least memory: peak 80\.0 MB, 0\.900 ms; /);
});

test('nothing ran: nothing is chosen', () => {
  const decision = decide([row(FLOAT1, { error: 'no space left' })], labelled);
  expect(decision).toEqual({
    chosen: null,
    verdicts: [{ id: FLOAT1, verdict: 'failed', reason: 'no space left' }],
    warnings: [],
  });
});

test('no float figures to compare with: INT8 is not chosen blindly', () => {
  const rows = [row(FLOAT1, { error: 'out of memory' }), row(STATIC1, { p50: 1 })];
  const decision = decide(rows, unlabelled);
  expect(decision.chosen).toBeNull();
  expect(decision.verdicts[1]).toMatchObject({ verdict: 'rejected' });
  expect(decision.verdicts[1]?.reason).toContain('unknown');
});

test('no rows', () => {
  expect(decide([], labelled)).toEqual({ chosen: null, verdicts: [], warnings: [] });
});

test('the report carries verdicts and no private field', () => {
  const rows = [row(FLOAT1, { p50: 1 }), row(STATIC1, { error: 'it crashed' })];
  const applied = applyDecision(rows, decide(rows, unlabelled));
  expect(applied.map(({ verdict }) => verdict)).toEqual(['chosen', 'failed']);
  expect(applied.every((one) => !('error' in one))).toBe(true);
});

const anyRow = fc
  .record({
    label: fc.constantFrom('fp32', 'int8-static', 'int8-dynamic', 'fp16'),
    threads: fc.constantFrom(1, 2, 4),
    p50: fc.double({ min: 0.001, max: 1000, noNaN: true }),
    drop: fc.double({ min: -5, max: 5, noNaN: true }),
    bytes: fc.option(fc.integer({ min: 1, max: 1_000_000_000 })),
    peak: fc.option(fc.integer({ min: 1, max: 1_000_000_000 })),
    failed: fc.boolean(),
    samples: fc.integer({ min: 1, max: 5000 }),
  })
  .map(({ label, threads, failed, ...shape }) =>
    row(`onnxruntime/${label}/t${threads}`, {
      ...shape,
      drop: label === 'fp32' ? 0 : shape.drop,
      ...(failed ? { error: 'it crashed' } : {}),
    }),
  );

test('whatever was measured, the promises hold', () => {
  const rowsArbitrary = fc.uniqueArray(anyRow, { selector: ({ id }) => id, maxLength: 12 });
  const optimize = fc.constantFrom('latency' as const, 'size' as const, 'memory' as const);
  const p90 = fc.option(fc.double({ min: 0.001, max: 1000, noNaN: true }));
  fc.assert(
    fc.property(rowsArbitrary, optimize, p90, (rows, goal, maxP90Ms) => {
      const decision = decide(rows, { ...labelled, optimize: goal, maxP90Ms });
      const chosen = rows.find(({ id }) => id === decision.chosen);
      const running = rows.filter(({ latencyMs }) => latencyMs !== null);
      const floats = running.filter(({ method }) => method === 'none');
      const best = Math.min(...floats.map(({ latencyMs }) => latencyMs?.p50 ?? Infinity));
      expect(decision.verdicts.map(({ id }) => id)).toEqual(rows.map(({ id }) => id));
      expect(decision.verdicts.filter(({ reason }) => !/^[^\n]{5,}$/.test(reason))).toEqual([]);
      expect(
        decision.verdicts.filter(({ reason }) => /NaN|undefined|Infinity/.test(reason)),
      ).toEqual([]);
      expect(floats.length > 0 && chosen === undefined).toBe(false);
      if (chosen === undefined) return;
      const p50 = chosen.latencyMs?.p50 ?? Infinity;
      expect(running).toContain(chosen);
      if (chosen.method === 'none') return;
      expect((chosen.accuracy?.drop ?? 1) * 100).toBeLessThanOrEqual(1 + 1e-9);
      expect(p50).toBeLessThanOrEqual(best * (goal === 'latency' ? 1 : 1 + SAME));
    }),
  );
});

test('the order of the rows does not matter to the choice', () => {
  const rowsArbitrary = fc.uniqueArray(anyRow, { selector: ({ id }) => id, maxLength: 8 });
  fc.assert(
    fc.property(rowsArbitrary, (rows) => {
      expect(decide(rows.toReversed(), labelled).chosen).toBe(decide(rows, labelled).chosen);
    }),
  );
});
