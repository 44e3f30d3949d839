import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BrokerSettings, TlsFiles } from '../fleet/broker-link.ts';
import { parseBrokerUrl } from '../fleet/broker-url.ts';
import { identityFiles, readIdentityUser } from '../fleet/identity/store.ts';
import { readCa, readIdentity, readPasswordFile, SettingError } from '../fleet/setting-files.ts';
import { certificateAge } from './certificate-age.ts';
import type { Environment } from './environment.ts';
import { ConfigError } from './error.ts';
import type { LoadedConfig, Origin } from './load.ts';

/** A file with a secret or a certificate, and who named it. */
interface Source {
  readonly path: string;
  readonly from: string;
}

type Secret = 'passwordFile' | 'caFile' | 'certFile' | 'keyFile';

/** Names under which systemd passes credentials (LoadCredential=mqtt-key:...). */
const CREDENTIALS: Readonly<Record<Secret, string>> = {
  passwordFile: 'mqtt-password',
  caFile: 'mqtt-ca',
  certFile: 'mqtt-cert',
  keyFile: 'mqtt-key',
};

const PASSWORD_VARIABLE = 'EDGEFIT_MQTT_PASSWORD';

export interface Broker {
  readonly settings: BrokerSettings;
  /** Where user, password and certificates came from; never what is in them. */
  readonly origins: readonly Origin[];
  /** Secrets in files that everybody may read, a line for each. */
  readonly exposed: readonly string[];
  /** Certificates that have expired or soon will, a line for each. */
  readonly aging: readonly string[];
}

/**
 * The file for one secret: the configured one, else systemd's credential, else what `agent enrol`
 * left in the state folder.
 */
function findSource(
  { config, origins }: LoadedConfig,
  secret: Secret,
  env: Environment,
  state: string,
): Source | undefined {
  const configured = config.mqtt[secret];
  if (configured !== undefined) {
    const from = origins.find(({ key }) => key === `mqtt.${secret}`)?.from ?? 'configuration';
    return { path: configured, from };
  }
  const folder = env['CREDENTIALS_DIRECTORY'] ?? '';
  const name = CREDENTIALS[secret];
  if (folder !== '' && existsSync(join(folder, name))) {
    return { path: join(folder, name), from: `credential ${name}` };
  }
  const enrolled = identityFiles(state)[secret];
  return existsSync(enrolled) ? { path: enrolled, from: 'agent enrol' } : undefined;
}

/**
 * Everything that is needed to connect, or null when no broker is configured. Reads and checks the
 * files. Throws ConfigError that names the key.
 */
export async function resolveBroker(
  loaded: LoadedConfig,
  env: Environment,
  state: string,
): Promise<Broker | null> {
  const { url } = loaded.config.mqtt;
  if (url === undefined) return null;
  const find = (secret: Secret) => findSource(loaded, secret, env, state);
  try {
    const read = await readBroker(loaded, url, find, env, state);
    return { ...read, exposed: await exposedOf(read.origins), aging: agingOf(read, Date.now()) };
  } catch (error) {
    if (!(error instanceof SettingError)) throw error;
    throw new ConfigError([loaded.problem(['mqtt', error.setting], error.why)], error);
  }
}

type Read = Pick<Broker, 'settings' | 'origins'>;

/** What the files say of their own time; that of the broker's certificate its connections tell. */
function agingOf({ settings, origins }: Read, nowMs: number): readonly string[] {
  return (['ca', 'cert'] as const).flatMap((name) => {
    const pem = settings.tls?.[name];
    const age = pem === undefined ? null : certificateAge(pem, nowMs);
    const source = origins.find(({ key }) => key === `mqtt.${name}File`);
    return age === null || source === undefined
      ? []
      : [`${source.key}: ${String(source.value)} ${age}`];
  });
}

const OTHERS_MAY_READ = 0o004;

/** Its user, root and a group that was given to it may read what is secret, nobody else. */
async function exposedOf(origins: readonly Origin[]): Promise<readonly string[]> {
  const lines = origins.map(async ({ key, value }) => {
    if (key !== 'mqtt.passwordFile' && key !== 'mqtt.keyFile') return [];
    const path = String(value);
    const { mode } = await stat(path);
    if ((mode & OTHERS_MAY_READ) === 0) return [];
    return [`${key}: everybody may read ${path}: chmod 600 ${path}`];
  });
  return (await Promise.all(lines)).flat();
}

async function readBroker(
  { config }: LoadedConfig,
  url: string,
  find: (secret: Secret) => Source | undefined,
  env: Environment,
  state: string,
): Promise<Read> {
  const { address, user: urlUser } = parseBrokerUrl(url);
  const origins: Origin[] = [];
  const note = (key: string, { path, from }: Source) =>
    origins.push({ key: `mqtt.${key}`, value: path, from });
  const passwordSource = find('passwordFile');
  const fromEnv = env[PASSWORD_VARIABLE];
  let password: string | undefined;
  if (fromEnv !== undefined && fromEnv !== '') {
    password = fromEnv;
    origins.push({ key: 'mqtt.password', value: '(hidden)', from: `env ${PASSWORD_VARIABLE}` });
  } else if (passwordSource !== undefined) {
    password = await readPasswordFile('passwordFile', passwordSource.path);
    note('passwordFile', passwordSource);
  }
  const user = config.mqtt.user ?? urlUser ?? (await readIdentityUser(state));
  if (password !== undefined && user === undefined) {
    throw new SettingError('user', 'a password needs a user name');
  }
  const secure = address.protocol === 'mqtts' || address.protocol === 'wss';
  const tls = secure ? await readTls(find, note) : undefined;
  return { settings: { address, user, password, tls }, origins };
}

async function readTls(
  find: (secret: Secret) => Source | undefined,
  note: (key: string, source: Source) => void,
): Promise<TlsFiles> {
  const [ca, cert, key] = [find('caFile'), find('certFile'), find('keyFile')];
  const authority = ca === undefined ? {} : await readCa('caFile', ca.path);
  if (ca !== undefined) note('caFile', ca);
  // An enrolled device has its key before it has a certificate.
  if (cert === undefined || key === undefined) return authority;
  note('certFile', cert);
  note('keyFile', key);
  const identity = await readIdentity(
    { setting: 'certFile', path: cert.path },
    { setting: 'keyFile', path: key.path },
  );
  return { ...authority, ...identity };
}
