import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { DeviceParts } from '../fleet/device/device.ts';
import type { SelfUpdate } from '../fleet/jobs/work/context.ts';
import { shippedPath } from '../util/paths.ts';

export interface SelfUpdateOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Version of the agent. */
  readonly agent: string;
  readonly device: () => DeviceParts | null;
  readonly restart: (why: string) => void;
}

/** Null when this daemon was not started by the launcher, which names its folder of agents. */
export function selfUpdateOf(options: SelfUpdateOptions): SelfUpdate | null {
  const folder = options.env['EDGEFIT_AGENTS'];
  if (folder === undefined || folder === '') return null;
  return {
    folder,
    running: runningAgent(folder, shippedPath()),
    version: options.agent,
    platform: `${process.platform}-${process.arch}`,
    online: () => {
      const parts = options.device();
      return parts !== null && parts.session.online() && parts.session.connects() > 0;
    },
    restart: options.restart,
  };
}

/** Its folder says who this is. */
function runningAgent(agents: string, home: string): string | null {
  const releases = join(agents, 'releases');
  // Node.js has followed the links in its own path.
  if (!existsSync(releases) || realpathSync(releases) !== realpathSync(dirname(home))) return null;
  return basename(home);
}
