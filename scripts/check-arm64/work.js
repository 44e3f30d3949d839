// @ts-check
// What is run, the same on this machine and on every emulated core.
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Emulated inference takes a thousand times as long: enough samples to tell versions apart. */
const CALIBRATION_SAMPLES = 8;
const EVALUATION_SAMPLES = 16;
const OUTPUT_SAMPLES = 4;
/** None of those that calibrate. */
const FIRST_OUTPUT_SAMPLE = CALIBRATION_SAMPLES;

/** The demo in both formats: its manifest in `demo/`, and the extension of its model. */
export const FORMATS = [
  { name: 'onnx', runtime: 'onnxruntime', manifest: 'manifest.json' },
  { name: 'tflite', runtime: 'tflite', manifest: 'manifest-tflite.json' },
];

/** @typedef {(parameters: readonly string[], env?: NodeJS.ProcessEnv) => Promise<string>} Node */

/**
 * @typedef {object} Work
 * @property {string} folder of the models and of what is made
 * @property {readonly string[]} models both float models
 */

/**
 * Copies the demo with fewer samples.
 * @param {string} home the package
 * @param {string} folder
 * @returns {Promise<Work>}
 */
export async function prepareWork(home, folder) {
  await mkdir(folder, { recursive: true });
  await copyFile(join(home, 'demo/samples.npz'), join(folder, 'samples.npz'));
  const models = [];
  for (const { manifest } of FORMATS) {
    // oxlint-disable-next-line no-await-in-loop -- two small files
    models.push(await copyModel(join(home, 'demo'), manifest, folder));
  }
  return { folder, models };
}

/**
 * @param {string} demo
 * @param {string} name
 * @param {string} folder
 */
async function copyModel(demo, name, folder) {
  /** @type {import('../../agent/contracts/manifest.ts').Manifest} */
  const manifest = JSON.parse(await readFile(join(demo, name), 'utf8'));
  const from = manifest.samples?.evaluation?.from ?? 0;
  const path = 'samples.npz';
  const samples = {
    calibration: { path, from: 0, to: CALIBRATION_SAMPLES },
    evaluation: { path, from, to: from + EVALUATION_SAMPLES },
  };
  await writeFile(join(folder, name), JSON.stringify({ ...manifest, samples }));
  await copyFile(join(demo, manifest.model), join(folder, manifest.model));
  return join(folder, manifest.model);
}

/**
 * What a command of the agent prints with `--json`.
 * @param {Node} node
 * @param {string} home the package
 * @param {readonly string[]} parameters
 * @returns {Promise<unknown>}
 */
export async function agentJson(node, home, parameters) {
  return JSON.parse(await agentText(node, home, parameters));
}

/**
 * @param {Node} node
 * @param {string} home
 * @param {readonly string[]} parameters
 */
function agentText(node, home, parameters) {
  return node([join(home, 'dist/agent/cli/main.js'), ...parameters, '--json']);
}

/**
 * Benchmarks one format, briefly: how fast an emulated core is says nothing.
 * @param {Node} node
 * @param {string} home
 * @param {Work} work
 * @param {(typeof FORMATS)[number]} format
 * @param {readonly string[]} [more] parameters
 * @returns {Promise<import('../../agent/contracts/bench.ts').BenchReport>}
 */
export async function bench(node, home, { folder }, { manifest, runtime }, more = []) {
  const brief = ['--precision', 'fp32,int8-static', '--threads', '1', '--min-time', '0.05'];
  const parameters = ['bench', join(folder, manifest), '--runtime', runtime, ...brief, ...more];
  /** @type {import('../../agent/contracts/bench.ts').BenchReport} */
  const report = JSON.parse(await agentText(node, home, parameters));
  return report;
}

/**
 * Quantizes the demo; everything that a machine decides by itself is given.
 * @param {Node} node
 * @param {string} home
 * @param {Work} work
 * @param {(typeof FORMATS)[number]} format
 * @param {string} output
 * @param {readonly string[]} more `--save-ranges FILE` or `--ranges FILE`
 */
export async function quantize(node, home, { folder }, { manifest }, output, more) {
  const recipe = join(folder, 'recipe.json');
  await writeFile(recipe, JSON.stringify(RECIPE));
  // Whether layers go back to float is asked of children, half a minute of starting them each time.
  const given = ['--recipe', recipe, '--no-mixed', '-o', output, ...more];
  await agentJson(node, home, ['quantize', join(folder, manifest), ...given]);
  return readFile(output);
}

/** @type {import('../../agent/contracts/recipe.ts').Recipe} */
const RECIPE = {
  schema: 'edgefit/recipe/1',
  scheme: 'int8-static',
  activations: 's8',
  perChannel: true,
  reduceRange: false,
  equalize: false,
  observer: 'min-max',
  excluded: [],
};

/**
 * What models answer to evaluation samples.
 * @param {Node} node
 * @param {string} home
 * @param {Work} work
 * @param {readonly string[]} files
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {Promise<Readonly<Record<string, readonly number[]>>>}
 */
export async function outputsOf(node, home, { folder }, files, env) {
  const script = join(import.meta.dirname, 'outputs.js');
  const samples = [
    join(folder, 'samples.npz'),
    String(FIRST_OUTPUT_SAMPLE),
    String(OUTPUT_SAMPLES),
  ];
  /** @type {Record<string, number[]>} */
  const outputs = JSON.parse(await node([script, home, ...samples, ...files], env));
  return outputs;
}
