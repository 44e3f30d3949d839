import { join } from 'node:path';
import type { Config } from '../contracts/config.ts';
import { stateFolder } from '../fleet/unsent.ts';
import type { Environment } from './environment.ts';

export interface Folders {
  /** What must survive a restart: identity, session number, outbox, jobs. */
  readonly state: string;
  /** What must not: sockets, the heartbeat. */
  readonly runtime: string;
}

/** systemd joins several folders with colons; ours is the first. */
function first(list: string | undefined): string | undefined {
  const [folder = ''] = (list ?? '').split(':');
  return folder === '' ? undefined : folder;
}

/** Configured folders, else those that systemd made for the service, else those of the user. */
export function foldersOf(
  { stateDir, runtimeDir }: Pick<Config, 'stateDir' | 'runtimeDir'>,
  env: Environment,
): Folders {
  const state = stateDir ?? first(env['STATE_DIRECTORY']) ?? stateFolder(env);
  return { state, runtime: runtimeDir ?? first(env['RUNTIME_DIRECTORY']) ?? join(state, 'run') };
}
