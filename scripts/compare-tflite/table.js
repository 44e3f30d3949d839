// @ts-check
// Rows as Markdown, and the verdict in one line.
import { decibels, dropOf, geometricMean, isFloat, won } from '../compare-peer/rules.js';

/** @typedef {import('../compare-peer/rules.js').Figures} Figures */

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {string} made what the agent wrote
 * @property {string} runtime in which float, ours and the peer's file ran beside each other
 * @property {{ float: Figures, ours: Figures, peer?: Figures | undefined } | null} figures there; null: not run
 * @property {{ float: Figures, ours: Figures } | null} old the same in TFLite 2.9
 * @property {Record<string, string>} failed by file
 */

const HEAD = [
  'package',
  'made',
  'size / float: ours, peer',
  'SQNR dB: ours, peer',
  'metric: float, ours, peer',
  'ms / float: ours, peer',
  'ours / peer',
  'in 2.9: SQNR dB, ms / float',
  'won',
];

/** @param {readonly Row[]} rows */
export function peerTable(rows) {
  return [HEAD, HEAD.map(() => '---'), ...rows.map(cells)]
    .map((line) => `| ${line.join(' | ')} |`)
    .join('\n');
}

/** @param {Row} row */
function cells({ name, made, runtime, figures, old, failed }) {
  if (figures === null) return [name, made, why(failed), '', '', '', '', '', 'NO'];
  const { float, ours, peer } = figures;
  const both = peer === undefined ? [ours] : [ours, peer];
  return [
    name,
    made,
    both.map(({ bytes }) => (bytes / float.bytes).toFixed(3)).join(', '),
    both.map(dB).join(', '),
    ours.value === null ? '-' : [float, ...both].map(points).join(', '),
    both.map(({ ms1 }) => (ms1 / float.ms1).toFixed(2)).join(', '),
    peer === undefined
      ? (failed['peer'] ?? '-').replaceAll('|', '/')
      : (ours.ms1 / peer.ms1).toFixed(2),
    old === null ? '-' : `${dB(old.ours)}, ${(old.ours.ms1 / old.float.ms1).toFixed(2)}`,
    `${won(figures) ? 'yes' : 'NO'}${runtime === 'LiteRT' ? '' : ` (${runtime})`}`,
  ];
}

/** Like the line that the peers' own script ends with. @param {readonly Row[]} rows */
export function verdict(rows) {
  const measured = rows.flatMap(({ name, figures }) => (figures ? [{ name, ...figures }] : []));
  const lost = measured.filter((one) => !won(one)).map(({ name }) => name);
  const kept = measured.filter(({ ours }) => isFloat(ours)).map(({ name }) => name);
  const missing = rows.filter(({ figures }) => figures === null).map(({ name }) => name);
  const beside = measured.flatMap(({ ours, peer }) => (peer ? [ours.ms1 / peer.ms1] : []));
  const worst = Math.max(0, ...measured.map(({ float, ours }) => dropOf(float, ours))) * 100;
  return [
    ...(lost.length > 0 ? [`not won: ${lost.join(', ')}`] : []),
    ...(missing.length > 0 ? [`not run: ${missing.join(', ')}`] : []),
    ...(kept.length > 0 ? [`computes what float does: ${kept.join(', ')}`] : []),
    `won ${measured.length - lost.length} of ${rows.length}; latency/peer ${geometricMean(beside).toFixed(2)}, ` +
      `latency/float ${geometricMean(measured.map(({ ours, float }) => ours.ms1 / float.ms1)).toFixed(2)}; ` +
      `size/float ${geometricMean(measured.map(({ ours, float }) => ours.bytes / float.bytes)).toFixed(2)}; ` +
      `worst drop ${worst.toFixed(2)} points`,
  ].join('\n');
}

/** @param {Figures} one */
const dB = (one) => (isFloat(one) ? 'same' : decibels(one).toFixed(1));

/** @param {Figures} one */
const points = ({ value }) => (value === null ? '-' : (value * 100).toFixed(2));

/** @param {Record<string, string>} failed */
const why = (failed) =>
  Object.entries(failed)
    .map(([file, text]) => `${file}: ${text}`)
    .join('; ')
    .replaceAll('|', '/')
    .slice(0, 200);
