// @ts-check
// Which models of a folder each scheme takes, with made-up samples.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { encodeNpz, npy } from '../demo-model/npz.js';
import { quantize } from '../compare-peer/quantize.js';

const built = join(dirname(dirname(import.meta.dirname)), 'dist/agent');
/** @type {typeof import('../../agent/model/tflite/open.ts')} */
const { openTflite } = await import(join(built, 'model/tflite/open.js'));
/** @type {typeof import('../../agent/model/tflite/tensor-names.ts')} */
const { uniqueTensorNames } = await import(join(built, 'model/tflite/tensor-names.js'));

const SAMPLES = 4;

/**
 * Any floats do, as long as they are of both signs and the same every time. Whole numbers pick from
 * something: the first.
 * @type {ReadonlyMap<string, { type: string, make: (count: number) => NodeJS.TypedArray }>}
 */
const FORMS = new Map([
  ['FLOAT32', { type: '<f4', make: waves }],
  ['INT32', { type: '<i4', make: (count) => new Int32Array(count) }],
  ['INT64', { type: '<i8', make: (count) => new BigInt64Array(count) }],
]);

/** @param {number} length */
function waves(length) {
  return Float32Array.from({ length }, (_, at) => Math.sin(at * 1.7) * 2);
}

/**
 * A Markdown list, line by line, as the lines come to be known.
 * @param {string} folder
 * @param {string} work a folder for files that may be thrown away
 * @param {readonly string[]} schemes
 * @param {number} timeoutMs for one model and scheme
 * @param {(line: string) => void} print
 */
export async function lookAtModels(folder, work, schemes, timeoutMs, print) {
  const models = readdirSync(folder)
    .filter((file) => file.endsWith('.tflite'))
    .toSorted();
  /* oxlint-disable no-await-in-loop -- one after the other */
  for (const scheme of schemes) {
    let made = 0;
    /** @type {Reasons} */
    const reasons = new Map();
    for (const file of models) {
      const path = join(folder, file);
      const samples = join(work, 'samples.npz');
      const given = writeSamples(path, samples) ? ['--samples', samples] : [];
      const output = join(work, 'made.tflite');
      const { error } = await quantize(path, ['--to', scheme, ...given], output, timeoutMs);
      if (error === null) made += 1;
      else tally(reasons, error, path);
    }
    print(`- \`${scheme}\` takes ${made} of ${models.length}.${reasons.size === 0 ? '' : ' Not:'}`);
    for (const line of inWords(reasons)) print(`  - ${line}`);
  }
  /* oxlint-enable no-await-in-loop */
}

/**
 * How many models each reason keeps out, and the operators that it names.
 * @typedef {Map<string, { models: number, operators: Set<string> }>} Reasons
 */

/** @param {Reasons} reasons @param {string} error @param {string} path */
function tally(reasons, error, path) {
  const operators = new Set();
  const why = reasonOf(error, path).replace(/ ([A-Z][A-Z0-9_]{2,})\b(?: \.\.\.)?/g, (_, name) => {
    operators.add(name);
    return ' it';
  });
  const known = reasons.get(why) ?? { models: 0, operators: new Set() };
  known.models += 1;
  for (const name of operators) known.operators.add(name);
  reasons.set(why, known);
}

/** @param {Reasons} reasons */
function inWords(reasons) {
  const list = [...reasons].toSorted(([, a], [, b]) => b.models - a.models);
  return list.map(([why, { models, operators }]) => {
    const names = operators.size === 0 ? '' : ` (it: ${[...operators].join(', ')})`;
    return `${models}: ${why}${names}`;
  });
}

/** The same reason of different models is one. @param {string} error @param {string} path */
function reasonOf(error, path) {
  const plain = error.replace(/^agent: /, '').replaceAll(path, 'the model');
  return plain
    .replace(/^(\d+) of (\d+) operations cannot/, 'some operations cannot')
    .replace(/(cannot run in integers).*$/, '$1')
    .replace(/'[^']*'/g, '...')
    .replace(/\s+/g, ' ');
}

/** @param {string} path @param {string} to @returns {boolean} whether all it takes can be made up */
function writeSamples(path, to) {
  const [graph] = openTflite(readFileSync(path)).subgraphs;
  if (graph === undefined) return false;
  const names = uniqueTensorNames(graph);
  /** @type {Record<string, Buffer>} */
  const arrays = {};
  for (const input of graph.inputs) {
    const tensor = graph.tensors[input];
    const form = tensor && FORMS.get(tensor.type);
    if (tensor === undefined || form === undefined) return false;
    const shape = tensor.shape.map((size) => Math.max(size, 1));
    const values = form.make(shape.reduce((product, size) => product * size, SAMPLES));
    const bytes = new Uint8Array(values.buffer);
    arrays[names[input] ?? ''] = npy(form.type, [SAMPLES, ...shape], bytes);
  }
  if (Object.keys(arrays).length === 0) return false;
  writeFileSync(to, encodeNpz(arrays));
  return true;
}
