import { execFile } from 'node:child_process';
import { codeOf, messageOf } from '../util/errors.ts';

/**
 * Tells systemd how the service is (sd_notify). Node has no datagram sockets of the unix kind, so
 * the systemd-notify program sends the message; the unit needs NotifyAccess=all for that.
 */
export interface Notifier {
  /** False without $NOTIFY_SOCKET: not started by systemd. */
  readonly active: boolean;
  /** Sends e.g. `READY=1`. Never throws; false when it did not arrive. */
  readonly send: (...assignments: readonly string[]) => Promise<boolean>;
}

export interface NotifierOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Called once per kind of failure, with what to do about it. */
  readonly warn: (message: string) => void;
}

/** It waits until systemd has taken the message, which a busy machine may take its time for. */
const TIMEOUT_MS = 10_000;

const MISSING =
  'systemd-notify is not installed, so systemd cannot be told that the daemon is ready or alive: apt install systemd';

export function openNotifier({ env, warn }: NotifierOptions): Notifier {
  const socket = env['NOTIFY_SOCKET'];
  if (socket === undefined || socket === '') {
    return { active: false, send: async () => false };
  }
  const warned = new Set<string>();
  const warnOnce = (message: string) => {
    if (!warned.has(message)) warn(message);
    warned.add(message);
  };
  return {
    active: true,
    send: (...assignments) =>
      new Promise((resolve) => {
        const childEnv = { NOTIFY_SOCKET: socket, PATH: env['PATH'] };
        const options = { env: childEnv, timeout: TIMEOUT_MS };
        execFile('systemd-notify', [...assignments], options, (error) => {
          if (error !== null) {
            warnOnce(codeOf(error) === 'ENOENT' ? MISSING : `systemd-notify: ${messageOf(error)}`);
          }
          resolve(error === null);
        });
      }),
  };
}
