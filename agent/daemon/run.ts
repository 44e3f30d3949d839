import { foldersOf } from '../config/folders.ts';
import type { LoadedConfig } from '../config/load.ts';
import { messageOf } from '../util/errors.ts';
import { checkCanWriteFolder, makeFolder } from '../util/files.ts';
import { eventLoopProbe, removeHeartbeat, workerProbe } from './liveness.ts';
import { openLog } from './log.ts';
import { openNotifier } from './notify.ts';
import { startWatchdog } from './watchdog.ts';

export interface DaemonOptions {
  readonly loaded: LoadedConfig;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Version of the agent. */
  readonly version: string;
  /** Ends the daemon. */
  readonly signal: AbortSignal;
}

/** Whatever hangs while stopping, the process is gone before systemd sends SIGKILL. */
const STOP_MS = 4000;

/**
 * The long-running agent: builds the rooms, starts them in order, waits for the signal and stops
 * them in reverse. Throws FileError when the state folder cannot be used.
 */
export async function runDaemon({ loaded, env, version, signal }: DaemonOptions): Promise<void> {
  const { config, file } = loaded;
  const log = openLog(config.logLevel);
  const folders = foldersOf(config, env);
  await checkCanWriteFolder(folders.state);
  await makeFolder(folders.state);
  const notifier = openNotifier({ env, warn: (message) => log.warn(message) });
  const stopWatchdog = startWatchdog({
    notifier,
    env,
    probes: [eventLoopProbe, workerProbe(folders.runtime)],
    onProblem: (problem) => log.error({ problem }, 'not alive: no ping for the watchdog'),
  });
  log.info({ version, config: file, state: folders.state }, 'started');
  await notifier.send('READY=1', 'STATUS=running');
  await untilAborted(signal);
  log.info({ reason: messageOf(signal.reason) }, 'stopping');
  const impatient = setTimeout(() => process.exit(1), STOP_MS);
  await notifier.send('STOPPING=1');
  stopWatchdog();
  await removeHeartbeat(folders.runtime);
  clearTimeout(impatient);
  log.info('stopped');
}

/** Keeps the process alive until then: a pending promise alone would not. */
function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const keep = setInterval(() => undefined, 2 ** 30);
    const end = () => {
      clearInterval(keep);
      resolve();
    };
    signal.addEventListener('abort', end, { once: true });
  });
}
