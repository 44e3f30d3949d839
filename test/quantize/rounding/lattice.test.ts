import { expect, test } from '@jest/globals';
import {
  closest,
  factor,
  nearestPlane,
  quadraticError,
} from '../../../agent/quantize/rounding/lattice.ts';
import { polish } from '../../../agent/quantize/rounding/polish.ts';
import { randomValues, randoms } from '../support.ts';

/** A A^T + 0.1 I of random numbers, row-major. */
function positive(next: () => number, size: number): Float64Array {
  const a = randomValues(next, size * size);
  return Float64Array.from({ length: size * size }, (_, at) => {
    const [i, j] = [Math.floor(at / size), at % size];
    let sum = i === j ? 0.1 : 0;
    for (let k = 0; k < size; k++) sum += (a[i * size + k] ?? 0) * (a[j * size + k] ?? 0);
    return sum;
  });
}

/** e^T H e, as it is written. */
function form(matrix: Float64Array, error: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < error.length; i++) {
    for (let j = 0; j < error.length; j++) {
      sum += (matrix[i * error.length + j] ?? 0) * (error[i] ?? 0) * (error[j] ?? 0);
    }
  }
  return sum;
}

/** The least error over all integers from -limit to limit, by trying every one. */
function leastError(matrix: Float64Array, weights: Float64Array, limit: number): number {
  const span = 2 * limit + 1;
  let least = Infinity;
  for (let code = 0; code < span ** weights.length; code++) {
    const error = weights.map((value, k) => (Math.floor(code / span ** k) % span) - limit - value);
    least = Math.min(least, form(matrix, error));
  }
  return least;
}

const cases = Array.from({ length: 12 }, (_, seed) => seed + 1);

test('two weights that meet the same input make up for each other', () => {
  // Both inputs are nearly equal: only the sum of the errors counts, and 0.4 + 0.4 rounds to 1.
  const parts = factor(Float64Array.of(1, 0.99, 0.99, 1), 2);
  const q = new Float64Array(2);
  const target = { weights: Float64Array.of(0.4, 0.4), limit: 127 };
  const error = nearestPlane(parts, target, q);
  expect([...q].toSorted((a, b) => a - b)).toEqual([0, 1]);
  // (-0.4, 0.6): 0.16 + 0.36 - 2 * 0.99 * 0.24
  expect(error).toBeCloseTo(0.0448, 10);
});

test.each(cases)('the factor gives the form itself (seed %p)', (seed) => {
  const next = randoms(seed);
  const matrix = positive(next, 7);
  const error = Float64Array.from(randomValues(next, 7));
  expect(quadraticError(factor(matrix, 7), error)).toBeCloseTo(form(matrix, error), 8);
});

test.each(cases)('small kernels are solved as well as by trying everything (seed %p)', (seed) => {
  const next = randoms(seed);
  const matrix = positive(next, 4);
  const target = { weights: Float64Array.from(randomValues(next, 4, 3)), limit: 2 };
  const parts = factor(matrix, 4);
  const q = new Float64Array(4);
  const first = nearestPlane(parts, target, q);
  const least = closest(parts, target, q, first, 10_000);
  expect(least).toBeCloseTo(leastError(matrix, target.weights, target.limit), 8);
  expect(
    form(
      matrix,
      q.map((value, k) => value - (target.weights[k] ?? 0)),
    ),
  ).toBeCloseTo(least, 8);
  expect(Math.max(...q.map(Math.abs))).toBeLessThanOrEqual(2);
});

test.each(cases)('polishing makes the error smaller by what it says (seed %p)', (seed) => {
  const next = randoms(seed);
  const size = 24;
  const matrix = positive(next, size);
  const weights = Float64Array.from(randomValues(next, size, 20));
  const q = weights.map(Math.round);
  const errorOf = () =>
    form(
      matrix,
      q.map((value, k) => value - (weights[k] ?? 0)),
    );
  const before = errorOf();
  const gained = polish(matrix, size, { weights, limit: 127 }, q);
  expect(gained).toBeGreaterThanOrEqual(0);
  expect(errorOf()).toBeCloseTo(before - gained, 6);
});
