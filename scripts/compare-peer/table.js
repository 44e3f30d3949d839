// @ts-check
// Rows and targets as text, about 80 columns wide.
import { decibels, dropOf, isFloat, won } from './rules.js';
import { costRatios, decibelsAhead, likeForLike, measuredIn } from './rows.js';

/** @typedef {import('./rows.js').Row} Row */
/** @typedef {import('./rows.js').Measured} Measured */
/** @typedef {import('./rows.js').Mode} Mode */

const NAME_WIDTH = 20;
const MADE_WIDTH = 15;
const WIDTH = 80;

/** Ratios are of latencies, ours / the other's: one thread, then all. @param {readonly Row[]} rows */
export function autoTable(rows) {
  const head = 'package made s size dB peer drop 1:/flt 1:/peer n:/flt n:/peer won'.split(' ');
  const cells = measuredIn(rows, 'auto').map((one) => [
    clip(one.name, NAME_WIDTH),
    isFloat(one.ours) ? 'float' : clip(madeOf(one), MADE_WIDTH),
    one.run.seconds.toFixed(0),
    fixed(one.ours.bytes / one.float.bytes),
    decibelText(decibels(one.ours)),
    one.peer ? decibelText(decibels(one.peer)) : '-',
    dropText(one),
    fixed(one.ours.ms1 / one.float.ms1),
    one.peer ? fixed(one.ours.ms1 / one.peer.ms1) : '-',
    fixed(one.ours.msAll / one.float.msAll),
    one.peer ? fixed(one.ours.msAll / one.peer.msAll) : '-',
    won(one) ? 'yes' : 'NO',
  ]);
  return columns([head, ...cells], 2);
}

/** @param {readonly Row[]} rows */
export function staticTable(rows) {
  const head = 'package size dB ahead drop float 1:/flt n:/flt s MB'.split(' ');
  const cells = measuredIn(rows, 'int8-static').map((one) => {
    const ahead = decibelsAhead(one);
    return [
      clip(one.name, NAME_WIDTH),
      fixed(one.ours.bytes / one.float.bytes),
      decibelText(decibels(one.ours)),
      ahead === undefined ? '-' : decibelText(ahead),
      dropText(one),
      String(one.run.report?.ops.float ?? '-'),
      ...latenciesAndCost(one),
    ];
  });
  return columns([head, ...cells], 1);
}

/**
 * `l4l`: latency against the peer's file of the same kind, `*` where that file itself was run beside
 * ours; `s/p` and `MB/p`: time and memory of making it, against the peer's.
 * @param {readonly Row[]} rows
 */
export function likeForLikeTable(rows) {
  const head = 'package dB 1:/flt n:/flt s MB l4l s/p MB/p'.split(' ');
  const cells = measuredIn(rows, 'like for like').map((one) => {
    const [like, cost] = [likeForLike(one), costRatios(one)];
    return [
      clip(one.name, NAME_WIDTH),
      decibelText(decibels(one.ours)),
      ...latenciesAndCost(one),
      like === undefined ? '-' : fixed(like.ratio) + (like.how === 'direct' ? '*' : ''),
      cost === undefined ? '-' : fixed(cost.time),
      cost === undefined ? '-' : fixed(cost.memory),
    ];
  });
  return columns([head, ...cells], 1);
}

/** @param {Measured} measured */
function latenciesAndCost({ ours, float, run }) {
  return [
    fixed(ours.ms1 / float.ms1),
    fixed(ours.msAll / float.msAll),
    run.seconds.toFixed(1),
    (run.peakPssBytes / 2 ** 20).toFixed(0),
  ];
}

/** One line each; what does not fit is continued below. @param {readonly import('./rules.js').Target[]} targets */
export function targetList(targets) {
  return targets
    .map(({ what, target, reached, verdict }) =>
      [`${verdict.toUpperCase().padEnd(9)} ${what}: ${target}`, ...wrap(reached, 10)].join('\n'),
    )
    .join('\n');
}

/** @param {Measured} measured */
function madeOf({ run }) {
  return (run.report?.made ?? '-').replace('int8-', '').replace(' per channel', '');
}

/** @param {Measured} measured */
function dropText({ float, ours }) {
  return ours.value === null ? '-' : (100 * dropOf(float, ours)).toFixed(2);
}

/** @param {number} value */
function decibelText(value) {
  return Number.isFinite(value) && Math.abs(value) < 200 ? value.toFixed(1) : 'same';
}

/** @param {number} ratio */
function fixed(ratio) {
  return ratio.toFixed(2);
}

/** @param {string} text @param {number} width */
function clip(text, width) {
  return text.length <= width ? text : `${text.slice(0, width - 1)}~`;
}

/** @param {string} text @param {number} indent @returns {string[]} */
function wrap(text, indent) {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line !== '' && indent + line.length + 1 + word.length > WIDTH) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.map((line) => ' '.repeat(indent) + line);
}

/**
 * @param {readonly (readonly string[])[]} table
 * @param {number} left how many columns are text
 */
function columns(table, left) {
  const widths = (table[0] ?? []).map((_, i) =>
    Math.max(...table.map((row) => row[i]?.length ?? 0)),
  );
  /** @param {string} cell @param {number} i */
  const pad = (cell, i) => (i < left ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0));
  return table.map((row) => row.map(pad).join(' ').trimEnd()).join('\n');
}
