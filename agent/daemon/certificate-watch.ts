import type { Broker } from '../config/credentials.ts';
import { messageOf } from '../util/errors.ts';

const DAY_MS = 86_400_000;

export interface CertificateWatchOptions<T> {
  /** Reads the settings of the broker, and with them the certificates. */
  readonly read: () => Promise<T>;
  readonly warn: (fields: { readonly problem: string }, message: string) => void;
  /** Default: a day. */
  readonly everyMs?: number;
}

export interface CertificateWatch<T> {
  /** Reads them now, warns of what has expired or soon will, and gives what was read. */
  readonly read: () => Promise<T>;
  readonly stop: () => void;
}

/**
 * Warns of certificates whenever they are read, and reads them once a day besides: a connection may
 * last longer than they do. Each line is told once. Does not keep the process alive.
 */
export function watchCertificates<T extends Pick<Broker, 'aging'> | null>({
  read,
  warn,
  everyMs = DAY_MS,
}: CertificateWatchOptions<T>): CertificateWatch<T> {
  const told = new Set<string>();
  const tell = (problem: string, message: string) => {
    if (!told.has(problem)) warn({ problem }, message);
    told.add(problem);
  };
  const readAndTell = async () => {
    const found = await read();
    for (const problem of found?.aging ?? []) tell(problem, 'a certificate is to be renewed');
    return found;
  };
  const timer = setInterval(() => {
    // The connection that stands does not need them; the next one will.
    readAndTell().catch((error: unknown) => {
      tell(messageOf(error), 'the next connection to the broker will fail');
    });
  }, everyMs);
  timer.unref();
  return { read: readAndTell, stop: () => clearInterval(timer) };
}
