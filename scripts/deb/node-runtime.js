// @ts-check
// The Node.js of the package, from the npm registry like everything else.
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { npmSettings } from '../tflite-library/npm-settings.js';

/** docs/decisions/0016-the-debian-package.md says why this line of Node.js. */
export const NODE_VERSION = '20.20.2';
/** @type {Readonly<Record<string, string>>} */
const INTEGRITY = {
  x64: 'sha512-PeHQM8wAdmHtZA1mBocygZxs5LiUWtsJezQTkBd0iY987KpGrD1O2tVEydvMZiuXceRanxt7rjTnDEBwOPujoQ==',
  arm64:
    'sha512-LCXJnNTFiyGuYBw2gZSI5OBFMbkjAPt8sqD/NKrWoE2QmDgSubTqFng6GaNJ9EJ8HpxBMGcWWpbbcs4Vo+CnGg==',
};

/**
 * @param {import('./platforms.js').Platform} platform
 * @param {{ program: string, licence: string }} targets where they are copied to
 * @param {NodeJS.ProcessEnv} [env] npm's settings
 */
export async function fetchNode({ cpu }, targets, env = process.env) {
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-node-'));
  try {
    // It has no types.
    const name = 'pacote';
    /** @type {{ default: { extract: (spec: string, folder: string, options: object) => Promise<unknown> } }} */
    const { default: pacote } = await import(name);
    const integrity = INTEGRITY[cpu];
    const spec = `node-linux-${cpu}@${NODE_VERSION}`;
    await pacote.extract(spec, folder, { ...npmSettings(env), integrity, preferOffline: true });
    await copyFile(join(folder, 'bin/node'), targets.program);
    await copyFile(join(folder, 'LICENSE'), targets.licence);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
