// @ts-check
// The targets of `--to auto`, each with what was reached.
import { NOISE, isFloat, judgeEach, latencyRatio, verdictOf, won } from './rules.js';
import { dropTargets, measuredIn, named, ranTarget } from './rows.js';

/** @typedef {import('./rules.js').Target} Target */
/** @typedef {import('./rows.js').Row} Row */
/** @typedef {import('./rows.js').Measured} Measured */

/**
 * @param {readonly Row[]} rows
 * @returns {Target[]} of `--to auto`
 */
export function autoTargets(rows) {
  const asked = rows.filter(({ runs }) => runs.auto);
  const all = measuredIn(rows, 'auto');
  const lost = all.filter((one) => !won(one)).map(({ name }) => name);
  const seconds = all.map(({ name, run }) => ({ name, value: run.seconds }));
  const large = all.filter(({ row, float }) => row.hasConv && float.ms1 > 2);
  return [
    ranTarget('auto', rows),
    {
      what: 'auto: won against the best file',
      target: 'every package',
      reached: `${all.length - lost.length} of ${asked.length}${named('; not won', lost)}`,
      verdict: verdictOf(lost.length === 0 && all.length === asked.length),
    },
    {
      what: 'auto: latency / float, 1 thread',
      target: 'at most 1.00',
      ...judgeEach(judged(all, 'ms1'), { atMost: 1, slack: NOISE }),
    },
    {
      what: 'auto: latency / float, all threads',
      target: 'at most 1.00',
      ...judgeEach(judged(all, 'msAll'), { atMost: 1, slack: NOISE }),
    },
    {
      what: 'auto: the same, convolutional, over 2 ms',
      target: 'at most 0.50',
      ...judgeEach(judged(large, 'ms1'), { atMost: 0.5, slack: NOISE }),
    },
    ...dropTargets('auto', all),
    {
      what: 'auto: seconds',
      target: 'at most 120',
      ...judgeEach(seconds, { atMost: 120, digits: 0, unit: ' s' }),
    },
  ];
}

/**
 * Packages for which the float model was kept, each with the rows that lost: no way to win.
 * @param {readonly Row[]} rows
 */
export function keptFloat(rows) {
  return measuredIn(rows, 'auto')
    .filter(({ ours }) => isFloat(ours))
    .map(({ name, run }) => ({
      name,
      lost: (run.report?.candidates ?? [])
        .filter(({ verdict }) => verdict !== 'chosen')
        .map(({ id, reason }) => `${id}: ${reason}`),
    }));
}

/**
 * @param {readonly Measured[]} all
 * @param {'ms1' | 'msAll'} key
 */
function judged(all, key) {
  return all.flatMap(({ name, ours, float }) => {
    const { ratio, judged: counts } = latencyRatio(name, ours[key], float[key]);
    return counts ? [{ name, value: ratio }] : [];
  });
}
