// @ts-check
// Everything measured of a package, and what several targets are judged by.
import { decibels, dropOf, judgeEach, latencyRatio, mean, verdictOf } from './rules.js';

const MIB = 2 ** 20;

/** @typedef {import('./rules.js').Figures} Figures */
/** @typedef {import('./rules.js').Target} Target */
/** @typedef {import('./rules.js').Ratio} Ratio */
/** @typedef {Pick<import('./quantize.js').Run, 'seconds' | 'peakPssBytes' | 'report' | 'error'>} Run */
/** @typedef {'auto' | 'int8-static' | 'like for like'} Mode */

/**
 * Everything about one package.
 * @typedef {object} Row
 * @property {string} name
 * @property {boolean} hasConv
 * @property {Partial<Record<Mode, Run>>} runs
 * @property {Partial<Record<Mode | 'float' | 'peer', Figures>>} figures
 * @property {string[]} failed files that did not run, with the reason
 * @property {import('./peer.js').Peer} peer
 */

/**
 * One package in one mode, with everything that was measured.
 * @typedef {{ row: Row, name: string, run: Run, ours: Figures, float: Figures, peer: Figures | undefined }} Measured
 */

/**
 * @param {readonly Row[]} rows
 * @param {Mode} mode
 * @returns {Measured[]}
 */
export function measuredIn(rows, mode) {
  return rows.flatMap((row) => {
    const { name, runs, figures } = row;
    const { float, peer } = figures;
    const [run, ours] = [runs[mode], figures[mode]];
    return run && ours && float ? [{ row, name, run, ours, float, peer }] : [];
  });
}

/**
 * How many packages could be quantized and run in one mode.
 * @param {Mode} mode
 * @param {readonly Row[]} rows
 * @returns {Target}
 */
export function ranTarget(mode, rows) {
  const asked = rows.filter(({ runs }) => runs[mode]);
  const done = measuredIn(asked, mode);
  const failed = asked.filter((row) => !done.some(({ name }) => name === row.name));
  const reasons = failed.map(
    (row) => `${row.name} (${row.runs[mode]?.error ?? row.failed.join('; ')})`,
  );
  return {
    what: `${mode}: runs`,
    target: 'every package',
    reached: `${done.length} of ${asked.length}${named('; not', reasons)}`,
    verdict: verdictOf(failed.length === 0),
  };
}

/**
 * @param {Mode} mode
 * @param {readonly Measured[]} all
 * @returns {Target[]}
 */
export function dropTargets(mode, all) {
  const drops = all.flatMap(({ name, float, ours }) =>
    ours.value === null ? [] : [{ name, value: 100 * dropOf(float, ours) }],
  );
  const average = mean(drops.map(({ value }) => value));
  return [
    {
      what: `${mode}: metric down, average`,
      target: 'at most 0.50 points',
      reached:
        drops.length === 0 ? 'nothing labelled' : `${average.toFixed(2)} over ${drops.length}`,
      verdict: verdictOf(drops.length === 0 ? undefined : average <= 0.5),
    },
    {
      what: `${mode}: metric down, worst`,
      target: 'at most 1.00 points',
      ...judgeEach(drops, { atMost: 1 }),
    },
  ];
}

/**
 * Ours / the peer's min-max file, one thread: directly where that file is at hand, otherwise by the ratio
 * of each to float in its own run.
 * @param {Measured} measured
 * @returns {Ratio & { how: 'direct' | 'ratios' } | undefined} undefined where the peer has no such file
 */
export function likeForLike({ row, name, ours, float, peer }) {
  const theirs = row.peer.likeForLike;
  if (theirs === null) return undefined;
  if (theirs.isBest && peer) return { ...latencyRatio(name, ours.ms1, peer.ms1), how: 'direct' };
  const ms = theirs.perFloat * float.ms1;
  return { ...latencyRatio(name, ours.ms1, ms), how: 'ratios' };
}

/**
 * dB above the peer's best static file; undefined where it has none.
 * @param {Measured} measured
 */
export function decibelsAhead({ row, ours }) {
  const theirs = row.peer.bestStatic;
  return theirs === null ? undefined : decibels(ours) - theirs.sqnrDb;
}

/**
 * Time and memory of making the file, relative to the peer's; undefined where it has no figures.
 * @param {Measured} measured
 */
export function costRatios({ row, run }) {
  const { cost } = row.peer;
  if (cost === null) return undefined;
  const memory = run.peakPssBytes / MIB / cost.peakMB;
  return { time: run.seconds / cost.seconds, memory, costly: cost.costly };
}

/**
 * @param {string} lead
 * @param {readonly string[]} names
 */
export function named(lead, names) {
  return names.length === 0 ? '' : `${lead}: ${names.join(', ')}`;
}
