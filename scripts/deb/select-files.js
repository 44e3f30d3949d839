// @ts-check
// Which files of node_modules belong into a package for one platform.
import { elfMachine } from './elf.js';

/** Sources, types and build files: nothing that runs. */
const NOT_RUN =
  /\.(?:map|[cm]?tsx?|tsbuildinfo|c|cc|cpp|cxx|h|hh|hpp|inc|in|def|s|asm|gypi?|cmake|vcxproj|patch|sh|flow|html|css|tgz|min\.js)$/i;
const TEXT = /\.(?:md|markdown|txt|rst)$/i;
/** The licences stay, whatever their names end with. */
const LICENCE = /^(?:licen[cs]e|copying|notice|copyright|third[-_]?party)/i;
/** Only at the top of a package: `doc` and `test` deeper down can be modules. */
const NOT_RUN_FOLDER =
  /^(?:tests?|__tests__|spec|examples?|benchmarks?|bench|docs?|coverage|man|\.[^/]+)$/i;
const DOT_FILE = /^\./;
const NATIVE = /\.(?:node|so|dll|dylib|exe|a|lib)(?:\.[\d.]+)?$/i;
const OTHER_SYSTEM = /(?:^|[^a-z])(?:musl|linuxmusl|android|darwin|win32)(?:[^a-z]|$)/i;

/**
 * The path within its package: the part behind the last `node_modules/NAME` or `node_modules/@x/NAME`.
 * @param {string} path relative to node_modules
 */
export function splitPath(path) {
  const nested = path.lastIndexOf('node_modules/');
  const rest = nested === -1 ? path : path.slice(nested + 'node_modules/'.length);
  const parts = rest.split('/');
  const size = rest.startsWith('@') ? 2 : 1;
  return { name: parts.slice(0, size).join('/'), inside: parts.slice(size) };
}

/**
 * @param {string} path relative to node_modules, with /
 * @param {() => Uint8Array} head reads at least the first 20 bytes; called for native files only
 * @param {import('./platforms.js').Platform} platform
 */
export function isWanted(path, head, platform) {
  const { name, inside } = splitPath(path);
  const file = inside.at(-1);
  // Files beside the packages, such as npm's own list of what it installed, and its links.
  if (file === undefined || name.startsWith('.')) return false;
  // Types have nothing to run; npm installs them because packages declare them.
  if (name.startsWith('@types/')) return false;
  if (LICENCE.test(file)) return true;
  if (NOT_RUN.test(file) || DOT_FILE.test(file) || TEXT.test(file)) return false;
  if (inside.length > 1 && NOT_RUN_FOLDER.test(inside[0] ?? '')) return false;
  if (!NATIVE.test(file)) return true;
  // By content, so that a dependency added tomorrow is sorted rightly too.
  return !OTHER_SYSTEM.test(inside.join('/')) && elfMachine(head()) === platform.elfMachine;
}
