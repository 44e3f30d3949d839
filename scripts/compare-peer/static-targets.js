// @ts-check
// The targets of `--to int8-static`, each with what was reached.
import { NOISE, decibels, judgeEach, judgeGeometricMean, mean, verdictOf } from './rules.js';
import {
  costRatios,
  decibelsAhead,
  dropTargets,
  likeForLike,
  measuredIn,
  named,
  ranTarget,
} from './rows.js';

/** @typedef {import('./rules.js').Target} Target */
/** @typedef {import('./rows.js').Row} Row */
/** @typedef {import('./rows.js').Measured} Measured */

const MB = 1e6;

/**
 * @param {readonly Row[]} rows
 * @returns {Target[]} of `--to int8-static`, and of the same as the peer does it
 */
export function staticTargets(rows) {
  const all = measuredIn(rows, 'int8-static');
  const alike = measuredIn(rows, 'like for like');
  const ratios = alike.flatMap((one) => likeForLike(one) ?? []).filter((one) => one.judged);
  const signals = all.map(({ name, ours }) => ({ name, value: decibels(ours) }));
  return [
    ranTarget('int8-static', rows),
    {
      what: 'static: latency / like for like, mean',
      target: 'at most 0.90',
      ...judgeGeometricMean(
        ratios.map(({ ratio }) => ratio),
        0.9,
        NOISE,
      ),
    },
    {
      what: 'static: latency / like for like, each',
      target: 'at most 1.05',
      ...judgeEach(
        ratios.map(({ name, ratio: value }) => ({ name, value })),
        {
          atMost: 1.05,
          slack: NOISE,
        },
      ),
    },
    ...aheadTargets(all),
    {
      what: 'static: no collapse',
      target: 'at least 20 dB',
      ...judgeEach(signals, { atLeast: 20, digits: 1, unit: ' dB' }),
    },
    ...dropTargets('int8-static', all),
    ...sizeTargets(all),
    ...costTargets(alike),
    ranTarget('like for like', rows),
    {
      what: 'static as users get it: latency / like for like, mean',
      target: 'at most 0.90',
      ...judgeGeometricMean(
        all
          .flatMap((one) => likeForLike(one) ?? [])
          .filter((one) => one.judged)
          .map(({ ratio }) => ratio),
        0.9,
        NOISE,
      ),
    },
  ];
}

/**
 * @param {readonly Measured[]} all
 * @returns {Target[]}
 */
function aheadTargets(all) {
  const ahead = all.flatMap((one) => {
    const value = decibelsAhead(one);
    return value === undefined ? [] : [{ name: one.name, value }];
  });
  // What is as good as float is no longer counted in decibels.
  const finite = ahead.map(({ value }) => value).filter(Number.isFinite);
  const behind = ahead.filter(({ value }) => value < -0.01);
  const names = behind.map(({ name, value }) => `${name} ${value.toFixed(1)}`);
  const average = mean(finite);
  return [
    {
      what: 'static: dB ahead of the best static, each',
      target: 'at least 0',
      reached: `${ahead.length - behind.length} of ${ahead.length}${named('; behind', names)}`,
      verdict: verdictOf(ahead.length === 0 ? undefined : behind.length === 0),
    },
    {
      what: 'static: dB ahead, average',
      target: 'at least 1',
      reached:
        finite.length === 0 ? 'nothing to judge' : `${average.toFixed(2)} over ${finite.length}`,
      verdict: verdictOf(finite.length === 0 ? undefined : average >= 1),
    },
  ];
}

/**
 * @param {readonly Measured[]} all
 * @returns {Target[]}
 */
function sizeTargets(all) {
  /** @param {number} from @param {number} to */
  const between = (from, to) =>
    all.flatMap(({ name, ours, float }) =>
      float.bytes > from && float.bytes <= to ? [{ name, value: ours.bytes / float.bytes }] : [],
    );
  return [
    {
      what: 'static: size / float, over 4 MB',
      target: 'at most 0.28',
      ...judgeEach(between(4 * MB, Infinity), { atMost: 0.28, digits: 3 }),
    },
    {
      what: 'static: size / float, 1 to 4 MB',
      target: 'at most 0.33',
      ...judgeEach(between(MB, 4 * MB), { atMost: 0.33, digits: 3 }),
    },
  ];
}

/**
 * @param {readonly Measured[]} all
 * @returns {Target[]}
 */
function costTargets(all) {
  const costs = all.flatMap((one) => {
    const ratios = costRatios(one);
    return ratios === undefined ? [] : [{ name: one.name, ...ratios }];
  });
  const [costly, cheap] = [true, false].map((kind) => costs.filter((one) => one.costly === kind));
  return [
    {
      what: 'static: seconds / peer, where it is costly',
      target: 'mean at most 0.50',
      ...judgeGeometricMean(
        (costly ?? []).map(({ time }) => time),
        0.5,
        NOISE,
      ),
    },
    {
      what: 'static: memory / peer, where it is costly',
      target: 'mean at most 0.70',
      ...judgeGeometricMean(
        (costly ?? []).map(({ memory }) => memory),
        0.7,
        NOISE,
      ),
    },
    {
      what: 'static: seconds / peer, elsewhere',
      target: 'at most 1.00',
      ...judgeEach(
        (cheap ?? []).map(({ name, time: value }) => ({ name, value })),
        {
          atMost: 1,
          slack: NOISE,
        },
      ),
    },
  ];
}
