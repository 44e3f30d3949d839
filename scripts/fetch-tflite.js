// @ts-check
// Puts the TFLite C library into vendor/tflite/, from a package of the npm registry that npm is
// configured for. Runs in `prepare`, where it must never fail an install: without the library
// everything but TFLite works, and `agent doctor` says what to do.
//
//   node scripts/fetch-tflite.js          this platform's library, where it is missing
//   node scripts/fetch-tflite.js --all    those of every platform, and fails when it cannot
//                                         (`prepack`: the package may be installed elsewhere)
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { npmSettings } from './tflite-library/npm-settings.js';

/** The only package with a C library for both platforms; nothing else in it is used. */
const PACKAGE = 'tfjs-tflite-node@0.0.2';
const INTEGRITY =
  'sha512-Zed9biOz9lkWsekvPwdEmxXnsjXJnZO8iOV0s2Y20QU15cwiPedzFEBYiGbK7smYpkJpQNNY9SukoKmUi9bk9w==';
const FILE = 'libtensorflowlite_c.so';

/** @type {Readonly<Record<string, string>>} our name of a platform -> the package's folder */
const PLATFORMS = { 'linux-x64': 'linux_amd64', 'linux-arm64': 'linux_arm64' };

const ORIGIN = `libtensorflowlite_c.so: TensorFlow Lite 2.9 with XNNPACK, built by the TensorFlow authors.
Copyright The TensorFlow Authors. Apache License 2.0 (see LICENSE beside package.json).
Taken unchanged from the npm package ${PACKAGE}.
`;

const folder = join(dirname(import.meta.dirname), 'vendor/tflite');

/**
 * Fetches the libraries of these platforms that are not there yet.
 * @param {readonly string[]} platforms
 * @param {string} [target]
 * @param {NodeJS.ProcessEnv} [env] npm's settings
 * @returns {Promise<string[]>} the platforms that were fetched
 */
export async function fetchLibraries(platforms, target = folder, env = process.env) {
  const missing = platforms.filter((platform) => !existsSync(join(target, platform, FILE)));
  if (missing.length === 0) return [];
  const unpacked = await mkdtemp(join(tmpdir(), 'edgefit-tflite-'));
  try {
    await unpack(unpacked, env);
    for (const platform of missing) {
      const from = join(unpacked, 'cc_deps', PLATFORMS[platform] ?? platform, FILE);
      // oxlint-disable-next-line no-await-in-loop -- two files
      await place(from, join(target, platform));
    }
    await writeFile(join(target, 'ORIGIN.txt'), ORIGIN);
  } finally {
    await rm(unpacked, { recursive: true, force: true });
  }
  return missing;
}

/**
 * @param {string} target
 * @param {NodeJS.ProcessEnv} env
 */
async function unpack(target, env) {
  // Loaded here: an install without devDependencies has no pacote, and may not need it.
  const name = 'pacote';
  /** @type {{ default: { extract: (spec: string, folder: string, options: object) => Promise<unknown> } }} */
  const { default: pacote } = await import(name);
  const settings = npmSettings(env);
  // Pacote compares what arrives with the integrity and rejects anything else.
  await pacote.extract(PACKAGE, target, { ...settings, integrity: INTEGRITY, preferOffline: true });
}

/**
 * Copied beside and renamed: whoever looks sees the whole file or none.
 * @param {string} from
 * @param {string} target
 */
async function place(from, target) {
  await mkdir(target, { recursive: true });
  const beside = join(target, `${FILE}.${process.pid}`);
  await copyFile(from, beside);
  await rename(beside, join(target, FILE));
}

/** @param {boolean} all */
async function main(all) {
  const here = `${process.platform}-${process.arch}`;
  const platforms = Object.keys(PLATFORMS).filter((platform) => all || platform === here);
  try {
    const fetched = await fetchLibraries(platforms);
    if (fetched.length > 0)
      console.error(`edgefit: TFLite library of ${fetched.join(', ')} is here`);
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
    console.error(`edgefit: no TFLite library: ${PACKAGE} cannot be fetched: ${why}`);
    console.error('edgefit: only TFLite models need it; npm run fetch-tflite tries again');
    if (all) process.exitCode = 1;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await main(process.argv.includes('--all'));
}
