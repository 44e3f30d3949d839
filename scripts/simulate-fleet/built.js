// @ts-check
// The built agent: what is simulated runs the same code as a real device.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

export const root = dirname(dirname(import.meta.dirname));
export const program = join(root, 'dist/agent/cli/main.js');

/** Builds dist/ where there is none. Throws when that fails. */
export function buildWhenMissing() {
  if (existsSync(program)) return;
  process.stderr.write('dist/ is missing: building it\n');
  // What the compiler says must not come between the lines of JSON.
  /** @type {('ignore' | 'inherit')[]} */
  const stdio = ['ignore', 'ignore', 'inherit'];
  const { status } = spawnSync(process.execPath, [join(root, 'scripts/build.js')], { stdio });
  if (status !== 0)
    throw new Error('dist/ cannot be built: run npm run build and read what it says');
}

/** A module of the agent, e.g. `fleet/device/device`. @param {string} name */
export const built = (name) => import(pathToFileURL(join(root, `dist/agent/${name}.js`)).href);
