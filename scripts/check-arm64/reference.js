// @ts-check
// The same work on this machine, without an emulator: what the cores are compared with.
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { run } from './run.js';
import { FORMATS, bench, outputsOf, quantize } from './work.js';

/** @typedef {import('./work.js').Work} Work */

/**
 * @typedef {object} FormatReference
 * @property {string} ranges file
 * @property {import('./compare.js').Ranges} calibrated
 * @property {string} quantizedPath
 * @property {Uint8Array} quantized
 * @property {import('../../agent/contracts/bench.ts').BenchReport} report
 */

/**
 * @typedef {object} Reference
 * @property {ReadonlyMap<string, FormatReference>} formats by name
 * @property {readonly string[]} files the float models, and the quantized ones made here
 * @property {Readonly<Record<string, readonly number[]>>} outputs of those files
 */

/** @type {import('./work.js').Node} */
const hostNode = (parameters) => run(process.execPath, parameters);

/**
 * @param {string} home the checkout: the package of the cache has the other platform's libraries
 * @param {Work} work
 * @returns {Promise<Reference>}
 */
export async function makeReference(home, work) {
  /** @type {Map<string, FormatReference>} */
  const formats = new Map();
  for (const format of FORMATS) {
    // oxlint-disable-next-line no-await-in-loop -- benchmarks do not share a machine well
    formats.set(format.name, await makeFormat(home, work, format));
  }
  const files = [
    ...work.models,
    ...[...formats.values()].map(({ quantizedPath }) => quantizedPath),
  ];
  return { formats, files, outputs: await outputsOf(hostNode, home, work, files) };
}

/**
 * @param {string} home
 * @param {Work} work
 * @param {(typeof FORMATS)[number]} format
 * @returns {Promise<FormatReference>}
 */
async function makeFormat(home, work, format) {
  const ranges = join(work.folder, `ranges-${format.name}.json`);
  const model = work.models[FORMATS.indexOf(format)] ?? '';
  const quantizedPath = join(work.folder, `int8${extname(model)}`);
  const save = ['--save-ranges', ranges];
  const quantized = await quantize(hostNode, home, work, format, quantizedPath, save);
  /** @type {import('./compare.js').Ranges} */
  const calibrated = JSON.parse(await readFile(ranges, 'utf8'));
  const report = await bench(hostNode, home, work, format);
  return { ranges, calibrated, quantizedPath, quantized, report };
}
