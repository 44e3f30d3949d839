// @ts-check
// The operator's side: keys, a signed repository with two releases of each model, and its web server.
import { createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { built } from './built.js';
import { MODELS } from './reports.js';

/** @type {typeof import('../../agent/deploy/key-file.ts')} */
const { makeKeyFile, openKey, publicPart } = await built('deploy/key-file');
/** @type {typeof import('../../agent/deploy/publish.ts')} */
const { publishPackage } = await built('deploy/publish');
/** @type {typeof import('../../agent/deploy/serve.ts')} */
const { serveRepository } = await built('deploy/serve');
/** @type {typeof import('../../agent/deploy/tuf/key-id.ts')} */
const { keyIdOf } = await built('deploy/tuf/key-id');
/** @type {typeof import('../../agent/deploy/tuf/repository.ts')} */
const { createRepository } = await built('deploy/tuf/repository');
/** @type {typeof import('../../agent/fleet/protocol/signed.ts')} */
const { signDocument } = await built('fleet/protocol/signed');

/** @typedef {import('../../agent/deploy/key-file.ts').SigningKey} SigningKey */

/** @typedef {{ type: 'job' | 'rollout', deviceId: string, counter: number, [name: string]: unknown }} Part */

/** What devices have when the simulation begins, and what a rollout brings. */
export const [OLD, NEW] = /** @type {const} */ (['1.0.0', '2.0.0']);
const MODEL_BYTES = 2048;
const DAY_MS = 86_400_000;
const PASSPHRASE = 'for a simulation only';

/**
 * @typedef {object} KeyOnDisk
 * @property {SigningKey} key
 * @property {string} file with the private half
 * @property {string} publicFile
 */

/**
 * @typedef {object} Site
 * @property {string} mirror folder of the repository
 * @property {string} url its address
 * @property {string} rootFile
 * @property {string} passphrase of the key files
 * @property {KeyOnDisk} operator gives commands to the controller
 * @property {KeyOnDisk} controller signs jobs
 * @property {(part: Part, key?: SigningKey) => string} signed a signed
 *   document; `expires` is a day ahead
 * @property {() => Promise<void>} close
 */

/** @param {string} folder @returns {Promise<Site>} */
export async function openSite(folder) {
  const mirror = join(folder, 'repository');
  const keyFolder = join(folder, 'keys');
  await Promise.all([mkdir(mirror, { recursive: true }), mkdir(keyFolder, { recursive: true })]);
  const [operator, controller] = await Promise.all(
    ['operator', 'controller'].map((name) => newKeyFile(keyFolder, name)),
  );
  if (operator === undefined || controller === undefined) throw new Error('no keys');
  const [top, online] = [newKey(), newKey()];
  const options = { folder: mirror, keys: [top, online], nowMs: Date.now() };
  await createRepository(
    options,
    { root: by(top), targets: by(top), snapshot: by(online), timestamp: by(online) },
    { keys: [operator.key.public, controller.key.public], threshold: 1 },
  );
  for (const { name } of MODELS) {
    // oxlint-disable-next-line no-await-in-loop -- each release is signed after the other
    for (const version of [OLD, NEW]) await publish(folder, options, name, version);
  }
  const server = await serveRepository({ folder: mirror, host: '127.0.0.1', port: 0 });
  return {
    mirror,
    url: server.url,
    rootFile: join(mirror, 'metadata', '1.root.json'),
    passphrase: PASSPHRASE,
    operator,
    controller,
    signed: (part, key = operator.key) => {
      const expires = new Date(Date.now() + DAY_MS).toISOString();
      return JSON.stringify(signDocument({ expires, ...part }, [key]));
    },
    close: () => server.close(),
  };
}

/** Which release of its model a version is. @param {string} version */
export const releaseCounterOf = (version) => (version === OLD ? 1 : 2);

/**
 * @param {string} folder
 * @param {import('../../agent/deploy/tuf/repository.ts').RepositoryOptions} options
 * @param {string} model
 * @param {string} version
 */
async function publish(folder, options, model, version) {
  const packageFolder = join(folder, 'packages', model, version);
  await mkdir(packageFolder, { recursive: true });
  await writeFile(join(packageFolder, 'model.onnx'), randomBytes(MODEL_BYTES));
  const manifest = { schema: 'edgefit/model/1', name: model, version, model: 'model.onnx' };
  await writeFile(join(packageFolder, 'manifest.json'), JSON.stringify(manifest));
  await publishPackage({ ...options, packageFolder, model, version });
}

/** @param {string} folder @param {string} name @returns {Promise<KeyOnDisk>} */
async function newKeyFile(folder, name) {
  const made = await makeKeyFile(PASSPHRASE, name);
  const [file, publicFile] = [join(folder, `${name}.json`), join(folder, `${name}.pub.json`)];
  await writeFile(file, JSON.stringify(made), { mode: 0o600 });
  await writeFile(publicFile, JSON.stringify(publicPart(made)));
  return { key: await openKey(made, PASSPHRASE, file), file, publicFile };
}

/** @param {SigningKey} key */
const by = (key) => ({ keys: [key.public], threshold: 1 });

/** One that is never in a file. @returns {SigningKey} */
function newKey() {
  const { privateKey } = generateKeyPairSync('ed25519');
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  const publicHex = spki.subarray(-32).toString('hex');
  return {
    keyId: keyIdOf(publicHex),
    public: publicHex,
    sign: (bytes) => sign(null, bytes, privateKey),
  };
}
