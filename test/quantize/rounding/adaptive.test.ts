import { expect, test } from '@jest/globals';
import type { LayerMoments } from '../../../agent/model/statistics.ts';
import { integerWeights } from '../../../agent/quantize/weights.ts';
import type { WeightRequest } from '../../../agent/quantize/weights.ts';
import { randomValues, randoms } from '../support.ts';

interface Layer {
  readonly request: WeightRequest;
  readonly moments: LayerMoments;
  /** Rows of inputs, as long as all groups together. */
  readonly rows: readonly Float32Array[];
}

/** A layer with weights [outputs, size] and inputs that go together, with their true moments. */
function layer(seed: number, outputs: number, size: number, groups: number, block = size): Layer {
  const next = randoms(seed);
  const width = size * groups;
  const rows = Array.from({ length: 400 }, () => {
    const common = next() * 4;
    return randomValues(next, width).map((value) => value + common);
  });
  const values = randomValues(next, outputs * size);
  const request = {
    values,
    layout: { dims: [outputs, size], axis: 0, inputAxis: 1, groups },
    inputScale: 0.01,
    perChannel: true,
    reduceRange: false,
    bias: randomValues(next, outputs),
    takesBias: true,
  };
  return { request, rows, moments: momentsOf(rows, size, groups, block) };
}

function momentsOf(rows: readonly Float32Array[], size: number, groups: number, block: number) {
  const width = size * groups;
  const mean = new Float64Array(width);
  for (const row of rows) row.forEach((x, k) => (mean[k] = (mean[k] ?? 0) + x / rows.length));
  const covariance: number[] = [];
  for (let group = 0; group < groups; group++) {
    for (let start = 0; start < size; start += block) {
      const part = Array.from({ length: Math.min(block, size - start) }, (_, k) => k);
      const at = (k: number) => group * size + start + k;
      const off = (row: Float32Array, k: number) => (row[at(k)] ?? 0) - (mean[at(k)] ?? 0);
      for (const i of part) {
        for (const j of part) {
          const sum = rows.reduce((total, row) => total + off(row, i) * off(row, j), 0);
          covariance.push(sum / rows.length);
        }
      }
    }
  }
  const entries = Float32Array.from(covariance);
  return { groups, size, block, count: rows.length, mean, covariance: entries };
}

/** Variance of the output's error over the rows, summed over the outputs. */
function outputError({ request, rows, moments }: Layer, adaptive: boolean): number {
  const { weights, scales } = integerWeights(adaptive ? { ...request, moments } : request);
  const [outputs = 0, size = 0] = request.layout.dims;
  let total = 0;
  for (let c = 0; c < outputs; c++) {
    const first = Math.floor((c * moments.groups) / outputs) * size;
    const errors = rows.map((row) => {
      let sum = 0;
      for (let k = 0; k < size; k++) {
        const at = c * size + k;
        const off = (weights[at] ?? 0) * (scales[c] ?? 0) - (request.values[at] ?? 0);
        sum += off * (row[first + k] ?? 0);
      }
      return sum;
    });
    const mean = errors.reduce((a, b) => a + b, 0) / errors.length;
    total += errors.reduce((sum, error) => sum + (error - mean) ** 2, 0) / errors.length;
  }
  return total;
}

test.each([
  ['of depthwise kernels', layer(1, 6, 9, 6), 0.5],
  ['of a matrix', layer(2, 8, 48, 1), 0.7],
  ['of two groups', layer(3, 8, 20, 2), 0.7],
  ['of a matrix in blocks that do not divide it', layer(4, 8, 50, 1, 16), 0.8],
] as const)('the error of the output %s falls', (_, one, share) => {
  expect(outputError(one, true)).toBeLessThan(share * outputError(one, false));
});

test('the same layer always becomes the same integers', () => {
  const made = [0, 1].map(() => {
    const { request, moments } = layer(5, 4, 30, 1);
    return integerWeights({ ...request, moments });
  });
  expect(made[0]).toEqual(made[1]);
});

test('columns of a matrix are channels as rows are', () => {
  const { request, moments } = layer(6, 3, 5, 1);
  const rows = integerWeights({ ...request, moments });
  const turned = request.values.map(
    (_, at) => request.values[(at % 3) * 5 + Math.floor(at / 3)] ?? 0,
  );
  const layout = { dims: [5, 3], axis: 1, inputAxis: 0, groups: 1 };
  const columns = integerWeights({ ...request, values: turned, layout, moments });
  expect(columns.scales).toEqual(rows.scales);
  expect(columns.weights).toEqual(
    rows.weights.map((_, at) => rows.weights[(at % 3) * 5 + Math.floor(at / 3)] ?? 0),
  );
});

test('7-bit weights stay within 64', () => {
  const { request, moments } = layer(7, 6, 9, 6);
  const { weights } = integerWeights({ ...request, reduceRange: true, moments });
  expect(Math.max(...weights.map(Math.abs))).toBeLessThanOrEqual(64);
});

test('moments of another shape are left alone', () => {
  const { request } = layer(8, 6, 9, 6);
  const { moments } = layer(8, 6, 8, 6);
  expect(integerWeights({ ...request, moments })).toEqual(integerWeights(request));
});
