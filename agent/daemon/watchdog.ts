import { checkLiveness } from './liveness.ts';
import type { Probe } from './liveness.ts';
import type { Notifier } from './notify.ts';

export interface WatchdogOptions {
  readonly notifier: Notifier;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly probes: readonly Probe[];
  /** Told of every check that failed; then systemd gets no ping, and in time restarts the service. */
  readonly onProblem: (problem: string) => void;
}

/** Milliseconds between pings, or null when systemd does not watch this process. */
export function pingPeriodMs(env: WatchdogOptions['env'], pid: number): number | null {
  const watched = env['WATCHDOG_PID'];
  if (watched !== undefined && watched !== '' && Number(watched) !== pid) return null;
  const limitUs = Number(env['WATCHDOG_USEC'] ?? '');
  if (!Number.isFinite(limitUs) || limitUs <= 0) return null;
  // Half the limit, as sd_watchdog_enabled(3) advises.
  return Math.max(1, Math.floor(limitUs / 1000 / 2));
}

/**
 * Pings systemd's watchdog at half its interval, each time only after every probe has answered: an
 * interval alone would prove nothing but itself. Returns the function that stops it.
 */
export function startWatchdog(options: WatchdogOptions): () => void {
  const { notifier, env, probes, onProblem } = options;
  const periodMs = notifier.active ? pingPeriodMs(env, process.pid) : null;
  if (periodMs === null) return () => undefined;
  let checking = false;
  const beat = async () => {
    if (checking) return;
    checking = true;
    const { alive, problem } = await checkLiveness(probes, periodMs);
    if (alive) await notifier.send('WATCHDOG=1');
    else onProblem(problem ?? 'unknown');
    checking = false;
  };
  const timer = setInterval(() => void beat(), periodMs);
  return () => clearInterval(timer);
}
