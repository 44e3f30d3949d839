// @ts-check
// /usr/share/doc/edgefit/copyright: ours, and one line for every dependency that is inside.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @typedef {object} Bundled
 * @property {string} name
 * @property {string} version
 * @property {string} licence
 */

/**
 * @param {string} modules a node_modules folder
 * @returns {Bundled[]} every package in it, nested ones too, each once
 */
export function bundledPackages(modules) {
  const found = packageFolders(modules).map((folder) => describe(join(folder, 'package.json')));
  const byName = new Map(found.map((one) => [`${one.name} ${one.version}`, one]));
  return [...byName.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * @param {string} modules
 * @returns {string[]}
 */
function packageFolders(modules) {
  if (!existsSync(modules)) return [];
  const names = readdirSync(modules).flatMap((name) =>
    name.startsWith('@') ? readdirSync(join(modules, name)).map((one) => join(name, one)) : [name],
  );
  return names
    .map((name) => join(modules, name))
    .filter((folder) => existsSync(join(folder, 'package.json')))
    .flatMap((folder) => [folder, ...packageFolders(join(folder, 'node_modules'))]);
}

/**
 * @param {string} file
 * @returns {Bundled}
 */
function describe(file) {
  /** @type {{ name?: string, version?: string, license?: string | { type?: string } }} */
  const { name = '?', version = '?', license } = JSON.parse(readFileSync(file, 'utf8'));
  const licence = typeof license === 'object' ? license.type : license;
  return { name, version, licence: licence ?? 'see its files' };
}

/**
 * @param {readonly Bundled[]} bundled
 * @param {string} nodeVersion
 */
export function copyrightFile(bundled, nodeVersion) {
  const rows = bundled.map(({ name, version, licence }) => `  ${name} ${version}: ${licence}`);
  return `edgefit is licensed under the Apache License, Version 2.0; on Debian systems its text is in
/usr/share/common-licenses/Apache-2.0.

The package also contains, unchanged but for files that nothing runs and for symbol tables:

  Node.js ${nodeVersion}: MIT and others, see /usr/lib/edgefit/LICENSE.node
  TensorFlow Lite: Apache-2.0, copyright The TensorFlow Authors,
    see /usr/lib/edgefit/vendor/tflite/ORIGIN.txt
${rows.join('\n')}

Their licence texts are beside them in /usr/lib/edgefit/node_modules.
`;
}
