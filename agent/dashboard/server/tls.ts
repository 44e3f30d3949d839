import type { Server as HttpServer } from 'node:http';
import { Server as TlsServer, createSecureContext } from 'node:tls';
import { messageOf } from '../../util/errors.ts';
import { DashboardError } from './error.ts';

/** A certificate with its chain, and its key: PEM texts. */
export interface TlsIdentity {
  readonly cert: string;
  readonly key: string;
}

export interface TlsSettings {
  readonly tls: TlsIdentity | null;
  readonly readTls?: () => Promise<TlsIdentity | null>;
  /** How often it is looked for a new one. */
  readonly tlsCheckMs?: number;
  readonly log: {
    readonly info: (fields: object, message: string) => void;
    readonly warn: (fields: object, message: string) => void;
  };
}

const CHECK_MS = 60_000;

/** Throws DashboardError BAD_SETTING for what cannot be served with. */
export function checkTls(tls: TlsIdentity): void {
  try {
    createSecureContext(tls);
  } catch (error) {
    const why = `OpenSSL does not take this certificate and key: ${messageOf(error)}`;
    throw new DashboardError('BAD_SETTING', `--tls-cert: ${why}`, { cause: error });
  }
}

/**
 * Serves with a renewed certificate as soon as its files are there: new connections get it, those that
 * are open go on. One that cannot be used (its key has not been written yet) is told once, and the one
 * before stays. Returns what ends it.
 */
export function followTls(server: HttpServer, settings: TlsSettings): () => void {
  const { tls, readTls, tlsCheckMs = CHECK_MS, log } = settings;
  if (tls === null || readTls === undefined || !(server instanceof TlsServer))
    return () => undefined;
  let current = tls;
  let told = '';
  const check = async () => {
    try {
      const read = await readTls();
      if (read !== null && (read.cert !== current.cert || read.key !== current.key)) {
        checkTls(read);
        server.setSecureContext({ ...read, minVersion: 'TLSv1.2' });
        current = read;
        log.info({}, 'the TLS certificate has been renewed');
      }
      told = '';
    } catch (error) {
      const why = messageOf(error);
      if (why !== told)
        log.warn({ why }, 'the new TLS certificate cannot be used: the old one stays');
      told = why;
    }
  };
  const timer = setInterval(() => void check(), tlsCheckMs);
  return () => clearInterval(timer);
}
