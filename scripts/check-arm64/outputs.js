// @ts-check
// Prints what models answer to samples, as JSON: { FILE: answers of all samples, one after the other }.
//
//   node outputs.js PACKAGE SAMPLES.npz FIRST COUNT MODEL...
import { pathToFileURL } from 'node:url';

const [home = '', samples = '', first = '', count = '', ...files] = process.argv.slice(2);

/** @param {string} name */
const load = (name) => import(pathToFileURL(`${home}/dist/agent/${name}.js`).href);

/** @type {typeof import('../../agent/runtime/open-file.ts')} */
const { openFile } = await load('runtime/open-file');
/** @type {typeof import('../../agent/calibration/samples/arrays.ts')} */
const { openNpz } = await load('calibration/samples/arrays');

/** The demo's images: real = (pixel - mean) / std, one channel, so any layout is the same. */
const MEAN = 128;
const STD = 64;

/** @returns {Promise<Float32Array[]>} */
async function readImages() {
  const images = (await openNpz(samples)).get('image');
  if (images === undefined) throw new Error(`${samples}: no array "image"`);
  const reader = await images.open(Number(first));
  const read = [];
  for (let index = 0; index < Number(count); index += 1) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other is how they lie
    const pixels = await reader.next();
    read.push(new Float32Array(Array.from(pixels, Number).map((pixel) => (pixel - MEAN) / STD)));
  }
  await reader.close();
  return read;
}

/**
 * @param {string} file
 * @param {readonly Float32Array[]} images
 */
async function answers(file, images) {
  const session = await openFile(file, { threads: 1, optimization: 'all', arena: true });
  const [input] = session.describe().inputs;
  const shape = input?.shape.map((size) => (typeof size === 'number' ? size : 1)) ?? [];
  const all = [];
  for (const data of images) {
    // oxlint-disable-next-line no-await-in-loop -- one session
    const outputs = await session.run({ [input?.name ?? '']: { dtype: 'float32', shape, data } });
    for (const { data: values } of Object.values(outputs)) all.push(...Array.from(values, Number));
  }
  await session.close();
  return all;
}

const images = await readImages();
/** @type {Record<string, number[]>} */
const printed = {};
for (const file of files) {
  // oxlint-disable-next-line no-await-in-loop -- one after the other
  printed[file] = await answers(file, images);
}
console.log(JSON.stringify(printed));
