import { join } from 'node:path';
import { foldersOf } from '../../config/folders.ts';
import type { DashboardConfig } from '../../contracts/dashboard-config.ts';
import type { Io } from '../output.ts';

/** Where the dashboard keeps what it keeps. */
export interface Places {
  readonly users: string;
  readonly history: string;
}

/** As configured, else below the state folder of this program. */
export function placesOf(
  { stateDir, usersFile }: Pick<DashboardConfig, 'stateDir' | 'usersFile'>,
  env: Io['env'],
): Places {
  const state = stateDir ?? join(foldersOf({}, env).state, 'dashboard');
  return { users: usersFile ?? join(state, 'users.json'), history: join(state, 'history') };
}
