import type { Command } from 'commander';
import { ID_PATTERN, ID_RULE } from '../contracts/ids.ts';
import type { BrokerSettings } from '../fleet/broker-link.ts';
import { parseBrokerUrl } from '../fleet/broker-url.ts';
import type { ParsedBrokerUrl } from '../fleet/broker-url.ts';
import { ReportError } from '../fleet/report-error.ts';
import { readPasswordFile, SettingError } from '../fleet/setting-files.ts';
import { readTls } from './mqtt-files.ts';
import type { TlsOptions } from './mqtt-files.ts';

/** What commander makes of the options below. */
export interface MqttOptions extends TlsOptions {
  readonly mqtt?: string;
  readonly mqttUser?: string;
  readonly mqttPasswordFile?: string;
  readonly mqttTimeout?: string;
  readonly deviceId?: string;
}

export interface MqttSettings {
  readonly broker: BrokerSettings;
  readonly timeoutMs: number;
  /** As given with --device-id; the caller knows the default. */
  readonly deviceId: string | undefined;
  /** What works, but should be done otherwise. */
  readonly warnings: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_TIMEOUT_SECONDS = 20;
const MAX_TIMEOUT_SECONDS = 3600;
/** Length limit of a user name or password in MQTT. */
const MAX_CREDENTIAL_BYTES = 65_535;
const PASSWORD_VARIABLE = 'EDGEFIT_MQTT_PASSWORD';
const VISIBLE_PASSWORD = `everyone on this machine can see the password in the --mqtt URL (ps): give it with --mqtt-password-file FILE or ${PASSWORD_VARIABLE}`;

/** Adds the options of a command that speaks MQTT in the name of this device. */
export function addMqttOptions(command: Command, purpose = 'report to this broker'): Command {
  return addBrokerOptions(command, purpose).option(
    '--device-id <id>',
    `name of this device: ${ID_RULE}`,
  );
}

/** Adds the options that say which broker, and as whom. A password is never an option. */
export function addBrokerOptions(command: Command, purpose: string): Command {
  return command
    .option('--mqtt <url>', `${purpose}: mqtt://, mqtts://, ws:// or wss://HOST[:PORT]`)
    .option('--mqtt-user <name>', 'user name at the broker')
    .option(
      '--mqtt-password-file <file>',
      `file with the password, or set ${PASSWORD_VARIABLE} (never on the command line)`,
    )
    .option(
      '--mqtt-ca <file>',
      'CA of the broker, PEM (default: the list built into Node.js; that of the system with NODE_OPTIONS=--use-openssl-ca)',
    )
    .option('--mqtt-cert <file>', 'client certificate, PEM; needs --mqtt-key')
    .option('--mqtt-key <file>', 'key of the client certificate, PEM')
    .option(
      '--mqtt-timeout <seconds>',
      `longest wait for an answer of the broker (default: ${DEFAULT_TIMEOUT_SECONDS})`,
    );
}

/** The password and where it came from: the file, else the environment, else the URL. */
async function readPassword(options: MqttOptions, env: Environment, url: ParsedBrokerUrl) {
  if (options.mqttPasswordFile !== undefined) {
    const from = '--mqtt-password-file';
    return { from, password: await readPasswordFile(from, options.mqttPasswordFile) };
  }
  const fromEnv = env[PASSWORD_VARIABLE];
  if (fromEnv !== undefined && fromEnv !== '')
    return { from: PASSWORD_VARIABLE, password: fromEnv };
  return { from: '--mqtt', password: url.password };
}

async function readCredentials(options: MqttOptions, env: Environment, url: ParsedBrokerUrl) {
  const user = options.mqttUser ?? url.user;
  const { from, password } = await readPassword(options, env, url);
  if (user === undefined && password !== undefined) {
    throw new SettingError(from, 'a password needs a user name: give --mqtt-user NAME');
  }
  if (user !== undefined && Buffer.byteLength(user) > MAX_CREDENTIAL_BYTES) {
    throw new SettingError('--mqtt-user', 'the name is too long for MQTT');
  }
  if (password !== undefined && Buffer.byteLength(password) > MAX_CREDENTIAL_BYTES) {
    throw new SettingError(from, 'the password is too long for MQTT');
  }
  return { user, password };
}

function readTimeout(text: string | undefined): number {
  const seconds = text === undefined ? DEFAULT_TIMEOUT_SECONDS : Number(text);
  if (text?.trim() === '' || !(seconds > 0 && seconds <= MAX_TIMEOUT_SECONDS)) {
    throw new SettingError('--mqtt-timeout', `use a number up to ${MAX_TIMEOUT_SECONDS} seconds`);
  }
  return Math.ceil(seconds * 1000);
}

function readUrl(text: string): ParsedBrokerUrl {
  try {
    return parseBrokerUrl(text);
  } catch (error) {
    if (error instanceof ReportError) throw new SettingError('--mqtt', error.message, error);
    throw error;
  }
}

/** The option that only makes sense beside --mqtt, if one was given alone. */
function strayOption(options: MqttOptions): string | undefined {
  const flags: readonly (readonly [string, string | undefined])[] = [
    ['--mqtt-user', options.mqttUser],
    ['--mqtt-password-file', options.mqttPasswordFile],
    ['--mqtt-ca', options.mqttCa],
    ['--mqtt-cert', options.mqttCert],
    ['--mqtt-key', options.mqttKey],
    ['--mqtt-timeout', options.mqttTimeout],
  ];
  return flags.find(([, value]) => value !== undefined)?.[0];
}

/**
 * Checks every MQTT option before the long work starts: URL, files, certificates, times. Null when
 * no report is wanted. Throws SettingError (exit code 2), never with a password in its message.
 */
export async function readMqttSettings(
  options: MqttOptions,
  env: Environment,
): Promise<MqttSettings | null> {
  const { deviceId } = options;
  if (deviceId !== undefined && !ID_PATTERN.test(deviceId)) {
    const why = `${JSON.stringify(deviceId)} is no device id: use ${ID_RULE}`;
    throw new SettingError('--device-id', why);
  }
  if (options.mqtt === undefined) {
    const stray = strayOption(options);
    if (stray !== undefined) throw new SettingError(stray, 'only with --mqtt URL');
    return null;
  }
  const url = readUrl(options.mqtt);
  const tls = await readTls(options, url.address);
  const credentials = await readCredentials(options, env, url);
  const timeoutMs = readTimeout(options.mqttTimeout);
  const warnings = url.password === undefined ? [] : [VISIBLE_PASSWORD];
  return { broker: { address: url.address, ...credentials, tls }, timeoutMs, deviceId, warnings };
}
