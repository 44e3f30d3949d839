import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { BrokerSettings } from '../../fleet/broker-link.ts';
import type { Signer } from '../../fleet/protocol/signed.ts';
import { codeOf, messageOf } from '../../util/errors.ts';
import { PasswordChecker } from './access/passwords.ts';
import { networkList, proxyLogin, type ProxyLoginSettings } from './access/proxy.ts';
import { Sessions, type SessionLimits } from './access/sessions.ts';
import { siteOf } from './access/site.ts';
import { readUsers, Users } from './access/users.ts';
import { createApp } from './app.ts';
import { DashboardError } from './error.ts';
import { LiveFleet } from './fleet/live-fleet.ts';
import type { AdmissionLimits } from './fleet/admission.ts';
import { Recorder } from './history/recorder.ts';
import { signingOperator } from './operator.ts';
import { readPageFiles } from './page-files.ts';
import { checkTls, followTls, type TlsIdentity } from './tls.ts';
import type { HistoryStore } from './ports.ts';
import { FLEET_READS_PER_MINUTE } from './routes/fleet.ts';
import { LOGIN_LIMITS, type LoginLimits } from './routes/session.ts';

export interface Logger {
  readonly info: (fields: object, message: string) => void;
  readonly warn: (fields: object, message: string) => void;
}

/** Everything the dashboard is told from outside. */
export interface DashboardSettings {
  readonly version: string;
  readonly broker: BrokerSettings;
  readonly timeoutMs: number;
  /** Names the client at the broker. */
  readonly clientId: string;
  readonly host: string;
  readonly port: number;
  readonly publicUrl: string | null;
  readonly isInsecure: boolean;
  readonly tls: TlsIdentity | null;
  /** Reads certificate and key again: they are renewed while the server runs. */
  readonly readTls?: () => Promise<TlsIdentity | null>;
  readonly tlsCheckMs?: number;
  /** Addresses or networks of proxies: what they say of who connects to them is believed. */
  readonly proxyFrom: readonly string[];
  /** Login by one of them. */
  readonly proxy: ProxyLoginSettings | null;
  readonly usersFile: string;
  /** The built page. */
  readonly pageFolder: string;
  /** Sign what operators do; none: nobody can act. */
  readonly signers: readonly Signer[];
  readonly session: SessionLimits;
  readonly openHistory: () => Promise<HistoryStore>;
  readonly log: Logger;
  readonly nowMs?: () => number;
  readonly loginLimits?: LoginLimits;
  readonly fleetReadsPerMinute?: number;
  readonly admission?: AdmissionLimits;
}

export interface Dashboard {
  readonly url: string;
  /** The one it got, where any would do. */
  readonly port: number;
  /** Users that may log in with a password. */
  readonly users: number;
  readonly stop: () => Promise<void>;
}

const NO_KEY = 'this dashboard was started without a key that signs: it can only look';

/** Starts the dashboard. Throws DashboardError, FileError. */
export async function startDashboard(settings: DashboardSettings): Promise<Dashboard> {
  const { log, usersFile, nowMs = Date.now } = settings;
  const site = siteOf({ ...settings, isTls: settings.tls !== null });
  const { proxyFrom } = settings;
  // Before anything is opened that would have to be closed again.
  if (settings.tls !== null) checkTls(settings.tls);
  networkList(proxyFrom, '--proxy-from');
  const proxy = settings.proxy === null ? null : proxyLogin({ ...settings.proxy, from: proxyFrom });
  const users = await readUsers(usersFile);
  const files = await readPageFiles(settings.pageFolder);
  if (files.size === 0) log.warn({}, 'the page has not been built: there is only the API');
  const warn = (message: string) => log.warn({}, message);
  const history = await settings.openHistory();
  const fleet = new LiveFleet({ ...settings, nowMs });
  const recorder = new Recorder({ store: history, fleet, nowMs, warn });
  const app = await createApp({
    ...settings,
    site,
    proxy,
    users: new Users(usersFile, warn),
    // By a clock that does not jump: one that is set back would keep old sessions alive.
    sessions: new Sessions(settings.session, settings.nowMs ?? (() => performance.now())),
    passwords: new PasswordChecker(),
    limits: settings.loginLimits ?? LOGIN_LIMITS,
    fleetReadsPerMinute: settings.fleetReadsPerMinute ?? FLEET_READS_PER_MINUTE,
    nowMs,
    readOnly: settings.signers.length === 0 ? NO_KEY : null,
    log: warn,
    fleet,
    history,
    operator: operatorOf(settings, fleet),
    files,
  });
  recorder.start();
  const unfollow = followTls(app.server, settings);
  const stop = async () => {
    unfollow();
    await app.close();
    await fleet.stop();
    await recorder.stop();
    await history.close();
  };
  try {
    await app.listen({ host: settings.host, port: settings.port });
  } catch (error) {
    await stop();
    throw listenError(settings, error);
  }
  const port = portOf(app);
  const url = settings.publicUrl ?? urlOf(settings, port);
  return { url, port, users: users.length, stop };
}

function operatorOf(
  { signers, broker, clientId, timeoutMs, log }: DashboardSettings,
  fleet: LiveFleet,
) {
  if (signers.length === 0) return null;
  return signingOperator({
    broker,
    clientId,
    timeoutMs,
    signers,
    onRollout: (rollout) => fleet.takeRollout(rollout),
    log: log.info,
  });
}

function portOf(app: FastifyInstance): number {
  const address: AddressInfo | string | null = app.server.address();
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

function urlOf({ host, tls }: DashboardSettings, port: number): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return `${tls === null ? 'http' : 'https'}://${name}:${port}/`;
}

function listenError({ host, port }: DashboardSettings, cause: unknown): DashboardError {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another program listens there',
    EADDRNOTAVAIL: 'this machine has no such address',
    EACCES: 'only root may listen there',
    ENOTFOUND: 'this name has no address',
  };
  const why = reasons[codeOf(cause) ?? ''] ?? messageOf(cause);
  const text = `cannot listen on ${host}:${port}: ${why}; choose another with --listen HOST:PORT`;
  return new DashboardError('LISTEN', text, { cause, kind: 'failure' });
}
