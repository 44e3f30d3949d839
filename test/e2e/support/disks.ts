import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from './agent.ts';

/** Small and read-only disks, for tests that run as root; nobody else may mount. */

const mounted: string[] = [];

/** Mounts a file system in memory; undefined where that is not allowed. */
export function mountDisk(options: string): string | undefined {
  const folder = join(makeFolder(), 'disk');
  mkdirSync(folder);
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]);
  if (status !== 0) return undefined;
  mounted.push(folder);
  return folder;
}

/** For `afterAll`, before the folders themselves are removed. */
export function unmountDisks(): void {
  for (const folder of mounted.splice(0)) spawnSync('umount', ['--lazy', folder]);
}
