import { open, readFile, realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { ConfigError } from '../config/error.ts';
import type { LoadedConfig } from '../config/load.ts';
import { codeOf } from '../util/errors.ts';
import { checkCanWriteFolder } from '../util/files.ts';

/**
 * Refuses a state folder that cannot be written. A disk that is read-only may be so after an error, and
 * pass; a folder that is mounted read-only while its disk is not, as by systemd's ProtectSystem=, stays
 * so at every start. Throws FileError, and ConfigError for the latter.
 */
export async function checkStateFolder(
  folder: string,
  { problem }: Pick<LoadedConfig, 'problem'>,
): Promise<void> {
  try {
    await checkCanWriteFolder(folder);
  } catch (error) {
    if (codeOf(error) !== 'EROFS') throw error;
    // Where /proc does not say so it may pass.
    if (!(await isMountAloneReadOnly(folder).catch(() => false))) throw error;
    const why =
      `${folder} is mounted read-only for this process, its disk is not: for a service of systemd ` +
      'name it in ReadWritePaths= (systemctl edit edgefit), or leave stateDir out';
    throw new ConfigError([problem(['stateDir'], why)], error);
  }
}

/** By proc_pid_mountinfo(5): options of the mount are the sixth field, those of its disk the last. */
async function isMountAloneReadOnly(folder: string): Promise<boolean> {
  const id = await mountIdOf(await nearest(folder));
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  const fields = mounts.map((line) => line.split(' ')).find(([first]) => first === id) ?? [];
  return isReadOnly(fields[5]) && !isReadOnly(fields.at(-1));
}

/** ext4 says `emergency_ro` after an error. */
function isReadOnly(options = ''): boolean {
  return options.split(',').some((option) => option === 'ro' || option === 'emergency_ro');
}

/** The folder, or the one above it that is there. */
async function nearest(folder: string): Promise<string> {
  try {
    return await realpath(folder);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
    return nearest(dirname(resolve(folder)));
  }
}

async function mountIdOf(folder: string): Promise<string | undefined> {
  const handle = await open(folder, 'r');
  try {
    const info = await readFile(`/proc/self/fdinfo/${handle.fd}`, 'utf8');
    return /^mnt_id:\s*(\d+)$/m.exec(info)?.[1];
  } finally {
    await handle.close();
  }
}
