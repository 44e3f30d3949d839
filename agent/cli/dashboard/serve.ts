import { once } from 'node:events';
import { hostname } from 'node:os';
import { startDashboard, type DashboardSettings } from '../../dashboard/server/serve.ts';
import type { HistoryStore } from '../../dashboard/server/ports.ts';
import type { DashboardConfig } from '../../contracts/dashboard-config.ts';
import { openLog } from '../../daemon/log.ts';
import { readIdentity, readPasswordFile } from '../../fleet/setting-files.ts';
import { shippedPath } from '../../util/paths.ts';
import type { CliContext } from '../context.ts';
import { UsageError } from '../errors.ts';
import { openSigners, withEnvironment } from '../fleet/operator.ts';
import { readMqttSettings } from '../mqtt-options.ts';
import type { Io } from '../output.ts';
import { readDashboardConfig } from './config-file.ts';
import { brokerFlags, parseListen, withFlags, type DashboardFlags } from './flags.ts';
import { placesOf } from './places.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Runs the dashboard until the signal. */
export async function serveDashboard(flags: DashboardFlags, context: CliContext): Promise<void> {
  const { io, signal } = context;
  const config = withFlags(await readDashboardConfig(flags.config), flags);
  const settings = await settingsOf(config, flags, context);
  await warnOfPassword(flags, io);
  const dashboard = await startDashboard(settings);
  io.stderr.write(`agent: the dashboard is at ${dashboard.url}\n`);
  if (dashboard.users === 0 && settings.proxy === null) {
    io.stderr.write(
      'agent: nobody can log in yet: agent dashboard user add NAME --role operator\n',
    );
  }
  if (settings.signers.length === 0) {
    io.stderr.write('agent: without --key everybody can only look\n');
  }
  if (!signal.aborted) await once(signal, 'abort');
  await dashboard.stop();
}

async function settingsOf(
  config: DashboardConfig,
  flags: DashboardFlags,
  { io, version }: CliContext,
): Promise<DashboardSettings> {
  const mqtt = await readMqttSettings(withEnvironment(brokerFlags(config, flags), io.env), io.env);
  if (mqtt === null) throw new UsageError('which broker? give --mqtt URL or set EDGEFIT_MQTT_URL');
  for (const warning of mqtt.warnings) io.stderr.write(`agent: ${warning}\n`);
  const address = parseListen(config.listen);
  if (address === null) {
    throw new UsageError(`listen: ${JSON.stringify(config.listen)} is not HOST:PORT`);
  }
  const { logger } = openLog('info');
  const { postgresUrl, postgresPasswordFile } = config.history;
  if (postgresUrl === undefined && postgresPasswordFile !== undefined) {
    throw new UsageError('--postgres-password-file: only with --postgres URL');
  }
  const places = placesOf(config, io.env);
  const warn = (message: string) => logger.warn(message);
  return {
    version,
    broker: mqtt.broker,
    timeoutMs: mqtt.timeoutMs,
    clientId: `dashboard-${hostname()}-${process.pid}`,
    ...address,
    publicUrl: config.publicUrl ?? null,
    isInsecure: config.insecure,
    tls: await readTls(config),
    readTls: () => readTls(config),
    proxyFrom: config.proxy.from,
    proxy: proxyOf(config),
    usersFile: places.users,
    pageFolder: shippedPath('dist', 'dashboard'),
    signers: await signersOf(config, io),
    session: {
      idleMs: config.session.idleMinutes * MINUTE_MS,
      totalMs: config.session.hours * HOUR_MS,
    },
    openHistory: () => openHistory(config, places.history, warn),
    log: {
      info: (fields, message) => logger.info(fields, message),
      warn: (fields, message) => logger.warn(fields, message),
    },
  };
}

const VISIBLE_PASSWORD =
  'everyone on this machine can see the password in the --postgres URL (ps): give it with --postgres-password-file FILE or PGPASSWORD';

/** Throws DashboardError for what is no URL. */
async function warnOfPassword({ postgres }: DashboardFlags, io: Io): Promise<void> {
  if (postgres === undefined) return;
  const { hasPassword } = await import('../../dashboard/server/history/postgres-connect.ts');
  if (hasPassword(postgres)) io.stderr.write(`agent: ${VISIBLE_PASSWORD}\n`);
}

async function openHistory(
  { history }: DashboardConfig,
  folder: string,
  warn: (message: string) => void,
): Promise<HistoryStore> {
  const rawMs = history.rawDays * DAY_MS;
  const keepMs = history.days * DAY_MS;
  if (history.postgresUrl !== undefined) {
    const { openPostgresStore } = await import('../../dashboard/server/history/postgres-store.ts');
    const file = history.postgresPasswordFile;
    const password =
      file === undefined ? undefined : await readPasswordFile('--postgres-password-file', file);
    const url = history.postgresUrl;
    return openPostgresStore({ url, password, rawMs, keepMs, nowMs: Date.now, warn });
  }
  const { openLevelStore } = await import('../../dashboard/server/history/level-store.ts');
  return openLevelStore({
    folder,
    rawMs,
    keepMs,
    maxBytes: history.maxBytes,
    nowMs: Date.now,
    warn,
  });
}

async function readTls({ tls }: DashboardConfig): Promise<DashboardSettings['tls']> {
  const { certFile, keyFile } = tls;
  if (certFile === undefined && keyFile === undefined) return null;
  if (certFile === undefined)
    throw new UsageError('--tls-key: give its certificate too: --tls-cert');
  if (keyFile === undefined) throw new UsageError('--tls-cert: give its key too, with --tls-key');
  const cert = { setting: '--tls-cert', path: certFile };
  const key = { setting: '--tls-key', path: keyFile };
  const { cert: certText = '', key: keyText = '' } = await readIdentity(cert, key);
  return { cert: certText, key: keyText };
}

function proxyOf({ proxy }: DashboardConfig): DashboardSettings['proxy'] {
  const { header, operators } = proxy;
  if (header !== undefined) return { header, operators };
  if (operators.length === 0) return null;
  throw new UsageError('--proxy-operator needs --proxy-header NAME');
}

async function signersOf({ keyFiles, passphraseFile }: DashboardConfig, io: Io) {
  const fromEnv = io.env['EDGEFIT_KEY_FILE'] ?? '';
  if (keyFiles.length === 0 && fromEnv === '') return [];
  return openSigners(
    {
      ...(keyFiles.length === 0 ? {} : { key: keyFiles }),
      ...(passphraseFile === undefined ? {} : { passphraseFile }),
    },
    io,
  );
}
