import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The package's own folder: the nearest one above this file that holds package.json. */
function findPackageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('package.json of edgefit not found');
    folder = parent;
  }
  return folder;
}

const packageRoot = findPackageRoot();

/** A file or folder that ships with the program, e.g. `shippedPath('hardware-profiles')`. */
export function shippedPath(...parts: readonly string[]): string {
  return join(packageRoot, ...parts);
}

/**
 * A built module, e.g. `builtModule('runtime/worker-main')`. Child processes always run built
 * code, also when the parent runs from source (tests).
 */
export function builtModule(name: string): string {
  return join(packageRoot, 'dist', 'agent', `${name}.js`);
}
