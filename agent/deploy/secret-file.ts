import { open, stat } from 'node:fs/promises';
import { codeOf } from '../util/errors.ts';
import { fileError } from '../util/files.ts';
import { TrustError } from './errors.ts';

/** A key that is written over is lost for ever. Throws TrustError (EXISTS). */
export async function refuseExisting(path: string): Promise<void> {
  try {
    await stat(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw fileError('write', path, error);
  }
  throw new TrustError('EXISTS', `${path} exists: choose another name, keys are not written over`);
}

/** Writes a new file for its owner's eyes only (mode 600 unless told), and syncs it. */
export async function writeSecret(path: string, text: string, mode = 0o600): Promise<void> {
  try {
    const file = await open(path, 'wx', mode);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw fileError('write', path, error);
  }
}
