import { describe, expect, test } from '@jest/globals';
import { decideAuto } from '../../../agent/fit/decide/auto-decision.ts';
import { labelled, row, unlabelled } from '../fixtures.ts';

const FLOAT = 'onnxruntime/fp32/t1';
const FOLDED = 'onnxruntime/fp32-folded/t1';
const STATIC = 'onnxruntime/int8-static/t1';
const MIXED = 'onnxruntime/int8-static-mixed/t1';
const DYNAMIC = 'onnxruntime/int8-dynamic/t1';

const chosenOf = (...args: Parameters<typeof decideAuto>) => decideAuto(...args).chosen;

describe('what --to auto takes', () => {
  test('the fastest that is accurate enough', () => {
    const rows = [
      row(FLOAT, { p50: 4 }),
      row(STATIC, { p50: 1, sqnr: 12 }),
      row(MIXED, { p50: 2, sqnr: 24 }),
      row(DYNAMIC, { p50: 3, sqnr: 40 }),
    ];
    const { chosen, verdicts } = decideAuto(rows, unlabelled);
    expect(chosen).toBe(MIXED);
    expect(verdicts.map(({ reason }) => reason)).toEqual([
      '2.0x slower than the choice (4.00 against 2.00 ms)',
      'SQNR 12.0 dB is under the floor of 20.0 dB',
      '2.00 ms; 2.0x faster than float (2.00 against 4.00 ms); SQNR 24.0 dB',
      '1.5x slower than the choice (3.00 against 2.00 ms)',
    ]);
  });

  test('of rows within 5 % the one that is closest to float', () => {
    const near = [row(FLOAT, { p50: 4 }), row(STATIC, { p50: 1, sqnr: 25 })];
    const close = row(MIXED, { p50: 1.04, sqnr: 32 });
    const far = row(MIXED, { p50: 1.06, sqnr: 32 });
    expect(chosenOf([...near, close], unlabelled)).toBe(MIXED);
    expect(chosenOf([...near, far], unlabelled)).toBe(STATIC);
  });

  test('a gain under 3 % is noise, and float stays', () => {
    const rows = [row(FLOAT, { p50: 1 }), row(DYNAMIC, { p50: 0.98, sqnr: 46, bytes: 3_000_000 })];
    const { chosen, verdicts } = decideAuto(rows, unlabelled);
    expect(chosen).toBe(FLOAT);
    expect(verdicts[1]?.reason).toBe(
      '2% faster than float (0.980 against 1.000 ms): under 3% is noise',
    );
  });

  test('unless the file is much smaller and nearly exact', () => {
    const rows = (sqnr: number) => [row(FLOAT, { p50: 1 }), row(DYNAMIC, { p50: 0.99, sqnr })];
    expect(chosenOf(rows(46), unlabelled)).toBe(DYNAMIC);
    expect(chosenOf(rows(34), unlabelled)).toBe(FLOAT);
  });

  test('also where it is slower by no more than a call takes', () => {
    const rows = (ms: number) => [row(FLOAT, { p50: 0.024 }), row(DYNAMIC, { p50: ms, sqnr: 46 })];
    expect(chosenOf(rows(0.026), unlabelled)).toBe(DYNAMIC);
    expect(chosenOf(rows(0.028), unlabelled)).toBe(FLOAT);
  });

  test('never what is slower than float', () => {
    const rows = [row(FLOAT, { p50: 1 }), row(DYNAMIC, { p50: 1.01, sqnr: 60 })];
    expect(chosenOf(rows, unlabelled)).toBe(FLOAT);
  });

  test('a little speed for the points that the fastest loses', () => {
    const rows = [
      row(FLOAT, { p50: 4, drop: 0, sqnr: 100 }),
      row(STATIC, { p50: 1, drop: 0.9, sqnr: 30 }),
      row(MIXED, { p50: 1.2, drop: 0.2, sqnr: 28 }),
    ];
    expect(chosenOf(rows, labelled)).toBe(MIXED);
    const small = rows.with(0, row(FLOAT, { p50: 1.5, drop: 0, sqnr: 100 }));
    // Most of the half millisecond would be gone.
    expect(chosenOf(small, labelled)).toBe(STATIC);
    const slower = rows.with(2, row(MIXED, { p50: 1.3, drop: 0.2, sqnr: 28 }));
    expect(chosenOf(slower, labelled)).toBe(STATIC);
  });

  test('the folded float model rather than the file as it is', () => {
    const fold = (p50: number) => [row(FLOAT, { p50: 1 }), row(FOLDED, { p50 })];
    expect(chosenOf(fold(1.02), unlabelled)).toBe(FOLDED);
    expect(chosenOf(fold(1.1), unlabelled)).toBe(FLOAT);
  });

  test('what was not judged is not taken, and not called inaccurate', () => {
    const rows = [
      row(FLOAT, { p50: 4 }),
      row(STATIC, { p50: 1, sqnr: 30 }),
      row(MIXED, { p50: 3 }),
    ];
    const { chosen, verdicts } = decideAuto(rows, unlabelled, new Set([MIXED]));
    expect(chosen).toBe(STATIC);
    expect(verdicts[2]?.reason).toBe('3.0x slower than the choice (3.00 against 1.00 ms)');
  });

  test('on a busy machine the shortest times are compared', () => {
    const busy = (id: string, p50: number, min: number, sqnr?: number) => {
      const quiet = row(id, { p50, ...(sqnr === undefined ? {} : { sqnr }) });
      return { ...quiet, latencyMs: quiet.latencyMs && { ...quiet.latencyMs, min } };
    };
    const rows = [busy(FLOAT, 3, 1), busy(STATIC, 2, 1.2, 30), busy(MIXED, 2.5, 0.5, 30)];
    expect(chosenOf(rows, unlabelled)).toBe(MIXED);
  });
});
