// @ts-check
// Ours beside what AI Edge Quantizer reached on the same package, as recorded where Python runs.

/** @typedef {import('./tables.js').Row} Row */

/**
 * @typedef {object} PeerRow
 * @property {string} variant
 * @property {boolean} ok
 * @property {number | null} sqnrDb
 * @property {number | null} bytes
 * @property {{ value: number, float: number } | null} metric
 * @property {number | null} ms1
 * @property {number} floatMs1
 */

/** Their variants that do what a scheme of ours does. */
const SAME = new Map([
  ['int8-static', ['static-a8w8', 'static-a8w8-minmax']],
  ['int8-dynamic', ['dynamic']],
  ['weight-int8', ['weight-only']],
  ['fp16', ['float16']],
]);

const HEAD = [
  'package',
  'scheme',
  'SQNR dB: ours, theirs',
  'bytes: ours, theirs',
  'drop: ours, theirs',
  'ms / float: ours, theirs',
];

/**
 * Both sides are beside float on their own runtime (theirs: TensorFlow 2.21), which is why ratios of
 * time compare runtimes as much as files.
 * @param {readonly Row[]} rows
 * @param {Readonly<Record<string, { rows: readonly PeerRow[] }>>} peers by package
 * @returns {readonly (readonly string[])[]} head and lines
 */
export function peerLines(rows, peers) {
  const lines = rows.flatMap((row) =>
    [...SAME].flatMap(([scheme, variants]) => {
      const theirs = bestOf(peers[row.name]?.rows ?? [], variants);
      return theirs === undefined ? [] : [line(row, scheme, theirs)];
    }),
  );
  return [HEAD, ...lines];
}

/** The most accurate of those that run. @param {readonly PeerRow[]} rows @param {readonly string[]} variants */
function bestOf(rows, variants) {
  return rows
    .filter(({ variant, ok }) => ok && variants.includes(variant))
    .toSorted((a, b) => (b.sqnrDb ?? 0) - (a.sqnrDb ?? 0))[0];
}

/** @param {Row} row @param {string} scheme @param {PeerRow} theirs */
function line({ name, figures }, scheme, theirs) {
  const { float, [scheme]: ours } = figures;
  return [
    name,
    scheme,
    `${ours === undefined ? '-' : decibels(ours.sqnrDb)}, ${decibels(theirs.sqnrDb)}`,
    `${ours?.bytes ?? '-'}, ${theirs.bytes ?? '-'}`,
    `${drop(float?.value, ours?.value)}, ${drop(theirs.metric?.float, theirs.metric?.value)}`,
    `${ratio(ours?.ms1, float?.ms1)}, ${ratio(theirs.ms1, theirs.floatMs1)}`,
  ];
}

/** 999 stands for a file that computes what float does. @param {number | null} one */
const decibels = (one) => (one === null || one === 999 ? 'same' : one.toFixed(1));

/** @typedef {number | null | undefined} Known */

/** In points. @param {Known} before @param {Known} after */
const drop = (before, after) =>
  isKnown(before) && isKnown(after) ? ((before - after) * 100).toFixed(2) : '-';

/** @param {Known} a @param {Known} b */
const ratio = (a, b) => (isKnown(a) && isKnown(b) ? (a / b).toFixed(2) : '-');

/** @param {Known} one @returns {one is number} */
const isKnown = (one) => one !== null && one !== undefined;
