import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Io } from '../output.ts';

/** Of the folders that the configuration, systemd or the user's environment name. */
async function foldersFrom(file: string | undefined, env: Io['env']) {
  const { loadConfig } = await import('../../config/load.ts');
  const { foldersOf } = await import('../../config/folders.ts');
  const { config } = await loadConfig({ file, env });
  return { config, folders: foldersOf(config, env) };
}

/** Of the daemon that systemd starts, for those who ask from a shell of their own. */
const SYSTEM_SOCKET = '/run/edgefit/record.sock';
const SYSTEM_STATE = '/var/lib/edgefit';

/** What is configured or the user's own, unless only the system's is there. */
function orSystem(own: string, system: string): string {
  return !existsSync(own) && existsSync(system) ? system : own;
}

/** Where the daemon listens for samples. Throws ConfigError. */
export async function socketOf(file: string | undefined, env: Io['env']): Promise<string> {
  const { config, folders } = await foldersFrom(file, env);
  const { socketPath } = await import('../../daemon/recording.ts');
  return orSystem(socketPath(config, folders.runtime), SYSTEM_SOCKET);
}

/** Where the daemon keeps samples. Throws ConfigError. */
export async function recordedFolder(file: string | undefined, env: Io['env']): Promise<string> {
  const { folders } = await foldersFrom(file, env);
  const { RECORDED_FOLDER } = await import('../../calibration/recording/list.ts');
  return orSystem(join(folders.state, RECORDED_FOLDER), join(SYSTEM_STATE, RECORDED_FOLDER));
}
