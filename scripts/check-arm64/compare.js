// @ts-check
// What may differ between two machines, and by how much.

/**
 * @typedef {object} Check
 * @property {string} name
 * @property {boolean} ok
 * @property {string} detail the figures
 */

/**
 * Float kernels add in another order, and with or without fused multiplication: a few units of the
 * last of 24 bits in each of some dozen layers.
 */
export const FLOAT_TOLERANCE = 1e-5;
/**
 * A float that is rounded to 8 bits falls on the other side of a half where it differs in its last
 * bit: one step of 255, and one more where a later layer does the same.
 */
export const INT8_TOLERANCE = 2 / 255;
/** What such a step costs in a comparison with float, in dB. */
export const SQNR_TOLERANCE_DB = 1;

/**
 * The largest difference, relative to the span of the expected values.
 * @param {readonly number[]} actual
 * @param {readonly number[]} expected
 */
export function relativeDifference(actual, expected) {
  if (actual.length !== expected.length || expected.length === 0) return Number.POSITIVE_INFINITY;
  const span = Math.max(...expected) - Math.min(...expected);
  const largest = Math.max(...expected.map((value, at) => Math.abs(value - (actual[at] ?? NaN))));
  return largest === 0 ? 0 : largest / span;
}

/**
 * @param {string} name
 * @param {number} difference
 * @param {number} tolerance
 * @returns {Check}
 */
export function within(name, difference, tolerance) {
  const figures = `${difference.toExponential(1)} of the span, at most ${tolerance.toExponential(1)}`;
  return {
    name,
    ok: difference <= tolerance,
    detail: difference === 0 ? 'the same bits' : figures,
  };
}

/**
 * @param {string} name
 * @param {unknown} actual
 * @param {unknown} expected
 * @returns {Check}
 */
export function same(name, actual, expected) {
  const [is, should] = [JSON.stringify(actual), JSON.stringify(expected)];
  const ok = is === should;
  return { name, ok, detail: ok ? is : `${is}, expected ${should}` };
}

/**
 * How many bytes of two files differ; null where they are not of one length.
 * @param {Uint8Array} one
 * @param {Uint8Array} other
 */
export function differingBytes(one, other) {
  if (one.length !== other.length) return null;
  return one.reduce((sum, byte, at) => sum + (byte === other[at] ? 0 : 1), 0);
}

/**
 * @typedef {{ tensors: readonly { name: string, min: number, max: number }[] }} Ranges
 */

/**
 * The largest difference of two calibrations, relative to each tensor's span.
 * @param {Ranges} actual
 * @param {Ranges} expected
 */
export function rangesDifference(actual, expected) {
  const found = new Map(actual.tensors.map((tensor) => [tensor.name, tensor]));
  if (found.size !== expected.tensors.length) return Number.POSITIVE_INFINITY;
  return Math.max(
    ...expected.tensors.map(({ name, min, max }) => {
      const { min: low = NaN, max: high = NaN } = found.get(name) ?? {};
      return relativeDifference([low, high], [min, max]);
    }),
  );
}

/**
 * @typedef {import('../../agent/contracts/bench.ts').CandidateRow} Whole
 * @typedef {Pick<Whole, 'id' | 'precision' | 'runtime' | 'latencyMs' | 'fidelity' | 'accuracy' | 'verdict'>} Row
 * @typedef {{ readonly candidates: readonly Row[], readonly chosen: string | null }} Bench
 */

/**
 * A benchmark beside the one of this machine. Which row is fastest depends on the machine; how
 * accurate each is does not. A device tries versions that this machine has no use for (signed and
 * unsigned activations): such a row is held to the nearest one of its precision.
 * @param {string} name
 * @param {Bench} actual
 * @param {Bench} expected
 * @returns {Check[]}
 */
export function benchChecks(name, actual, expected) {
  const rows = actual.candidates.map((row) => rowCheck(name, row, expected.candidates));
  const chosen = actual.candidates.find(({ id }) => id === actual.chosen);
  const missing = expected.candidates.filter(
    (row) => !actual.candidates.some(({ precision }) => precision === row.precision),
  );
  return [
    ...rows,
    same(`${name}: precisions missing`, [...new Set(missing.map((row) => row.precision))], []),
    same(`${name}: a row is chosen`, chosen?.verdict ?? null, 'chosen'),
  ];
}

/**
 * @param {string} name
 * @param {Row} row
 * @param {readonly Row[]} others
 * @returns {Check}
 */
function rowCheck(name, row, others) {
  const distances = others
    .filter(({ precision, runtime }) => precision === row.precision && runtime === row.runtime)
    .map((other) => ({ other, distance: Math.abs(decibels(row) - decibels(other)) || 0 }))
    .toSorted((a, b) => a.distance - b.distance);
  const [nearest] = distances;
  const measured = row.latencyMs !== null && row.latencyMs.p50 > 0;
  const accurate = row.accuracy?.value === nearest?.other.accuracy?.value;
  const close = nearest !== undefined && nearest.distance <= SQNR_TOLERANCE_DB;
  const detail = `${words(row)}; here ${words(nearest?.other)}`;
  return { name: `${name}: ${row.id}`, ok: measured && accurate && close, detail };
}

/** @param {Row | undefined} row */
function words(row) {
  const distance = row?.fidelity?.sqnrDb?.toFixed(2);
  return `${distance === undefined ? 'exact' : `${distance} dB`}, top-1 ${row?.accuracy?.value ?? 'unknown'}`;
}

/** @param {Row} row */
function decibels(row) {
  return row.fidelity?.sqnrDb ?? Number.POSITIVE_INFINITY;
}
