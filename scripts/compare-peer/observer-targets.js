// @ts-check
// The targets of what observers may cost.
import { NOISE, judgeEach } from './rules.js';

/** @typedef {import('./rules.js').Target} Target */

/**
 * @typedef {{ observer: string, samples: number, peakPssBytes: number }} ObserverRun
 * @param {readonly ObserverRun[]} runs
 * @returns {Target[]}
 */
export function observerTargets(runs) {
  const fewest = Math.min(...runs.map(({ samples }) => samples));
  /** @param {string} observer @param {number} samples */
  const bytes = (observer, samples) =>
    runs.find((one) => one.observer === observer && one.samples === samples)?.peakPssBytes ?? NaN;
  const [others, growth] = [
    runs.filter(({ observer, samples }) => observer !== 'min-max' && samples === fewest),
    runs.filter(({ samples }) => samples > fewest),
  ];
  const limits = { slack: NOISE, digits: 2 };
  return [
    {
      what: 'observers: memory / min-max',
      target: 'at most 1.20',
      ...judgeEach(
        others.map(({ observer: name, peakPssBytes }) => ({
          name,
          value: peakPssBytes / bytes('min-max', fewest),
        })),
        { atMost: 1.2, ...limits },
      ),
    },
    {
      what: 'observers: memory, 1,000 samples / 100',
      target: 'at most 1.00',
      ...judgeEach(
        growth.map(({ observer: name, peakPssBytes }) => ({
          name,
          value: peakPssBytes / bytes(name, fewest),
        })),
        { atMost: 1, ...limits },
      ),
    },
  ];
}
