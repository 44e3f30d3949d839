// @ts-check
// What of node_modules the program can come to. Packages bring the same code twice (for import and
// for require), builds for browsers, and dependencies that only their install scripts have.
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { splitPath } from './select-files.js';

const CODE = /\.(?:js|mjs|cjs|json)$/;
/** Comments that start a line: they speak of imports, and do none. */
const COMMENT = /^\s*(?:\*|\/\/|\/\*).*$/gm;
/** A file that looks for others by a name that it makes up while it runs. */
const LOOKS_FOR_FILES =
  /__dirname|import\.meta\.url|createRequire|require\.resolve|\b(?:require|import)\((?!\s*(["'])[^"']*\1\s*[,)])/;

/**
 * Removes the code in `home/node_modules` that nothing in `home/dist/agent` imports or requires. A
 * package with a file that looks for others at run time stays whole, as do its optional dependencies:
 * those are how packages bring native files.
 * @param {string} home
 * @returns {Promise<readonly string[]>} what was removed, as paths below node_modules
 */
export async function removeUnreached(home) {
  const program = codeBelow(home, 'dist/agent').filter((path) => path.endsWith('.js'));
  const code = codeBelow(home, 'node_modules');
  /** @type {Set<string>} */
  const whole = new Set();
  let reached = await reachedFrom(home, program);
  for (let before = -1; before !== whole.size;) {
    before = whole.size;
    for (const path of reached) if (looksForFiles(home, path)) keepWhole(home, path, whole);
    const kept = code.filter((path) => whole.has(packageOf(path)) && !path.endsWith('.json'));
    // oxlint-disable-next-line no-await-in-loop -- what they import is known only then
    reached = await reachedFrom(home, [...program, ...kept]);
  }
  const used = new Set([...whole, ...[...reached].map(packageOf)]);
  const isKept = (/** @type {string} */ path) =>
    reached.has(path) || whole.has(packageOf(path)) || isManifest(path, used);
  const removed = code.filter((path) => !isKept(path));
  for (const path of removed) rmSync(join(home, path));
  for (const path of removed) removeUnused(home, packageOf(path), used);
  return removed.map((path) => path.slice('node_modules/'.length));
}

/**
 * @param {string} path
 * @param {ReadonlySet<string>} used packages; their manifests say what kind of modules theirs are
 */
function isManifest(path, used) {
  return basename(path) === 'package.json' && used.has(packageOf(path));
}

/**
 * Removes what is left of a package that nothing reaches, unless another that is used lies in it.
 * @param {string} home
 * @param {string} folder of the package
 * @param {ReadonlySet<string>} used
 */
function removeUnused(home, folder, used) {
  const isUsed = [...used].some((one) => `${one}/`.startsWith(`${folder}/`));
  if (!isUsed) rmSync(join(home, folder), { recursive: true, force: true });
}

/**
 * @param {string} home
 * @param {string} folder
 * @returns {string[]} paths below `home`
 */
function codeBelow(home, folder) {
  const entries = readdirSync(join(home, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && CODE.test(entry.name))
    .map((entry) => relative(home, join(entry.parentPath, entry.name)));
}

/**
 * Every file that these import or require, themselves included, as Node.js would find them.
 * @param {string} home
 * @param {readonly string[]} entryPoints
 * @returns {Promise<ReadonlySet<string>>}
 */
async function reachedFrom(home, entryPoints) {
  const { build } = await import('esbuild');
  const { metafile } = await build({
    absWorkingDir: home,
    stdin: {
      contents: entryPoints.map((path) => `import ${JSON.stringify(`./${path}`)};`).join('\n'),
      resolveDir: home,
    },
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    // As Node.js: without the fields and conditions that only bundlers know.
    mainFields: ['main'],
    conditions: [],
    tsconfigRaw: '{}',
    loader: { '.node': 'empty' },
    logLevel: 'error',
    plugins: [FORGIVING],
  });
  // JSON is named with how it was imported behind it.
  return new Set(Object.keys(metafile.inputs).map((path) => path.replace(/ with \{.*\}$/, '')));
}

/**
 * Packages try to load what need not be there: by name (`pg-native`) and by a pattern
 * (`build/Release/${platform}.node`), which a bundler would have to find files for.
 * @type {import('esbuild').Plugin}
 */
const FORGIVING = {
  name: 'forgiving',
  setup(build) {
    build.onResolve({ filter: /./ }, async ({ path, pluginData, importer, resolveDir, kind }) => {
      if (pluginData === 'asked') return undefined;
      const found = await build.resolve(path, { importer, resolveDir, kind, pluginData: 'asked' });
      return found.errors.length > 0 ? { path, external: true } : found;
    });
    build.onLoad({ filter: /\.c?js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      return { contents: text.replaceAll(/\brequire\((?=`)/g, 'anything('), loader: 'js' };
    });
  },
};

/**
 * @param {string} home
 * @param {string} path
 */
function looksForFiles(home, path) {
  if (!path.startsWith('node_modules/') || path.endsWith('.json')) return false;
  return LOOKS_FOR_FILES.test(readFileSync(join(home, path), 'utf8').replaceAll(COMMENT, ''));
}

/** @param {string} path of a file, from `node_modules` on */
function packageOf(path) {
  const { inside } = splitPath(path);
  return path.slice(0, path.length - inside.join('/').length - 1);
}

/**
 * @param {string} home
 * @param {string} path of a file in a package
 * @param {Set<string>} whole gains that package and what it may bring for a platform
 */
function keepWhole(home, path, whole) {
  const folder = packageOf(path);
  if (whole.has(folder)) return;
  whole.add(folder);
  /** @type {{ optionalDependencies?: Record<string, string> }} */
  const { optionalDependencies = {} } = JSON.parse(
    readFileSync(join(home, folder, 'package.json'), 'utf8'),
  );
  for (const name of Object.keys(optionalDependencies)) {
    const places = [join(folder, 'node_modules', name), join('node_modules', name)];
    const place = places.find((one) => existsSync(join(home, one, 'package.json')));
    if (place !== undefined) keepWhole(home, join(place, 'package.json'), whole);
  }
}
