// @ts-check
// What counts as won, met or missed: pure arithmetic on figures that were measured elsewhere.

/** Ratios of times may be above their target by this: the noise of shared machines. */
export const NOISE = 1.08;
/** Below this a ratio of latencies says more about the clock than about the models. */
export const FLOOR_MS = 0.05;
/** Above this the file computes the float model. */
const FLOAT_DB = 200;
/** How decibels are rounded where two files are compared. */
const SQNR_SLACK = 0.01;

/**
 * One model file, measured beside the others of its package.
 * @typedef {object} Figures
 * @property {number} bytes
 * @property {number | null} sqnrDb against float on the evaluation samples; null: identical to float
 * @property {string | null} metric name of the task's metric
 * @property {number | null} value 0..1
 * @property {number} ms1 one thread
 * @property {number} msAll every core
 */

/** @param {readonly number[]} values positive; NaN when there are none */
export function geometricMean(values) {
  return Math.exp(mean(values.map(Math.log)));
}

/** @param {readonly number[]} values NaN when there are none */
export function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * Signal to noise with a number for "identical".
 * @param {Pick<Figures, 'sqnrDb'>} figures
 */
export function decibels({ sqnrDb }) {
  return sqnrDb ?? Infinity;
}

/** @param {Pick<Figures, 'sqnrDb'>} figures */
export function isFloat(figures) {
  return decibels(figures) > FLOAT_DB;
}

/**
 * How much of the task's metric was lost, 0..1; 0 where there is none.
 * @param {Pick<Figures, 'value'>} float
 * @param {Pick<Figures, 'value'>} ours
 */
export function dropOf(float, ours) {
  return float.value === null || ours.value === null ? 0 : float.value - ours.value;
}

/**
 * As fast and as accurate as the peer's file, or at least 10 % faster than it and than float at 20 dB;
 * the task's metric down by at most one point. `peer` is undefined where it has no acceptable file.
 * @param {{ float: Figures, ours: Figures, peer?: Figures | undefined }} package
 */
export function won({ float, ours, peer }) {
  if (dropOf(float, ours) > 0.01) return false;
  if (peer && ours.ms1 <= NOISE * peer.ms1 && decibels(ours) >= decibels(peer) - SQNR_SLACK) {
    return true;
  }
  const toBeat = Math.min(peer?.ms1 ?? float.ms1, float.ms1);
  return ours.ms1 <= 0.9 * toBeat && decibels(ours) >= 20;
}

/**
 * A ratio of latencies, and whether it may be judged.
 * @typedef {{ name: string, ratio: number, judged: boolean }} Ratio
 */

/**
 * @param {string} name
 * @param {number} ours ms
 * @param {number} other ms
 * @returns {Ratio}
 */
export function latencyRatio(name, ours, other) {
  return { name, ratio: ours / other, judged: Math.min(ours, other) >= FLOOR_MS };
}

/**
 * @typedef {'met' | 'missed' | 'not shown'} Verdict
 * @typedef {object} Target
 * @property {string} what
 * @property {string} target
 * @property {string} reached
 * @property {Verdict} verdict `not shown` where nothing was measured that it could be judged by
 */

/** @type {{ reached: string, verdict: Verdict }} */
const NOTHING = { reached: 'nothing to judge', verdict: 'not shown' };

/**
 * @param {boolean | undefined} holds
 * @returns {Verdict}
 */
export function verdictOf(holds) {
  return holds === undefined ? 'not shown' : holds ? 'met' : 'missed';
}

/**
 * Judges named values against a limit that all of them must keep and names the worst; those that
 * break it are listed.
 * @param {readonly { name: string, value: number }[]} values
 * @param {({ atMost: number, slack?: number } | { atLeast: number }) & { digits?: number, unit?: string }} limit
 * @returns {{ reached: string, verdict: Verdict }}
 */
export function judgeEach(values, limit) {
  if (values.length === 0) return NOTHING;
  const { digits = 2, unit = '' } = limit;
  const keeps = (/** @type {number} */ value) =>
    'atLeast' in limit ? value >= limit.atLeast : value <= limit.atMost * (limit.slack ?? 1);
  const sign = 'atLeast' in limit ? -1 : 1;
  const ordered = values.toSorted((a, b) => sign * (b.value - a.value));
  const broken = ordered.filter(({ value }) => !keeps(value));
  const shown = broken.length > 0 ? broken : ordered.slice(0, 1);
  const names = shown
    .map(({ name, value }) => `${name} ${value.toFixed(digits)}${unit}`)
    .join(', ');
  return {
    reached: `${values.length - broken.length} of ${values.length}; worst: ${names}`,
    verdict: verdictOf(broken.length === 0),
  };
}

/**
 * @param {readonly number[]} values
 * @param {number} atMost
 * @param {number} slack allowance for noise
 * @returns {{ reached: string, verdict: Verdict }}
 */
export function judgeGeometricMean(values, atMost, slack = 1) {
  if (values.length === 0) return NOTHING;
  const reached = geometricMean(values);
  return {
    reached: `${reached.toFixed(2)} over ${values.length}`,
    verdict: verdictOf(reached <= atMost * slack),
  };
}
