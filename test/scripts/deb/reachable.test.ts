import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { removeUnreached } from '../../../scripts/deb/reachable.js';
import { makeSysroot, removeSysroots } from '../../support/sysroot.ts';

afterAll(removeSysroots);

const both = { '.': { import: './index.mjs', require: './index.cjs' } };
const manifest = (name: string, rest: object = {}) => JSON.stringify({ name, ...rest });

/** A program, and packages of which it needs some files. */
const FILES = {
  '/dist/agent/main.js': "import 'twice'; import 'finds'; import 'plain'; import './other.js';\n",
  '/dist/agent/other.js': "try { await import('not-installed'); } catch {}\n",
  // Imported alone: the other form of the same is not needed.
  '/node_modules/twice/package.json': manifest('twice', { exports: both }),
  '/node_modules/twice/index.mjs': "export { a } from './a.mjs';\n",
  '/node_modules/twice/index.cjs': "exports.a = require('./a.cjs');\n",
  '/node_modules/twice/a.mjs': 'export const a = 1;\n',
  '/node_modules/twice/a.cjs': 'module.exports = 1;\n',
  '/node_modules/twice/LICENSE': 'MIT\n',
  // It makes up names at run time: whole, with what it may bring for a platform.
  '/node_modules/finds/package.json': manifest('finds', {
    optionalDependencies: { 'finds-linux': '1', 'finds-windows': '1' },
  }),
  '/node_modules/finds/index.js': "module.exports = require(`finds-${'linux'}`);\n",
  '/node_modules/finds/build/worker.js': "require('by-worker');\n",
  '/node_modules/finds-linux/package.json': manifest('finds-linux'),
  '/node_modules/finds-linux/index.js': 'module.exports = 1;\n',
  '/node_modules/finds-linux/addon.node': 'native',
  '/node_modules/by-worker/package.json': manifest('by-worker'),
  '/node_modules/by-worker/index.js': 'module.exports = 1;\n',
  // A comment that speaks of a require is none, and a field for bundlers is not for Node.js.
  '/node_modules/plain/package.json': manifest('plain', { main: 'node.js', module: 'esm.js' }),
  '/node_modules/plain/node.js': "// see require(name)\nmodule.exports = require('./data.json');\n",
  '/node_modules/plain/esm.js': 'export default 1;\n',
  '/node_modules/plain/data.json': '{}',
  // Only an install script needs it.
  '/node_modules/installs/package.json': manifest('installs'),
  '/node_modules/installs/index.js': 'module.exports = 1;\n',
  '/node_modules/installs/LICENSE': 'MIT\n',
};

test('what nothing imports goes, what may be found at run time stays', async () => {
  const home = makeSysroot(FILES);
  const removed = await removeUnreached(home);
  expect(removed.toSorted()).toEqual([
    'installs/index.js',
    'installs/package.json',
    'plain/esm.js',
    'twice/a.cjs',
    'twice/index.cjs',
  ]);
  expect(existsSync(join(home, 'node_modules/installs'))).toBe(false);
  const kept = Object.keys(FILES).filter(
    (path) =>
      !path.includes('/installs/') && !removed.includes(path.slice('/node_modules/'.length)),
  );
  expect(kept.filter((path) => !existsSync(join(home, path)))).toEqual([]);
});
