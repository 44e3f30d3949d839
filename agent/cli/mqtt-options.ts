import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { Command } from 'commander';
import type { BrokerSettings, TlsFiles } from '../fleet/broker-link.ts';
import { parseBrokerUrl } from '../fleet/broker-url.ts';
import type { ParsedBrokerUrl } from '../fleet/broker-url.ts';
import { isId } from '../fleet/protocol/topics.ts';
import { ReportError } from '../fleet/report-error.ts';
import { AgentError, messageOf } from '../util/errors.ts';
import { fileError } from '../util/files.ts';

/** What commander makes of the options below. */
export interface MqttOptions {
  readonly mqtt?: string;
  readonly mqttUser?: string;
  readonly mqttPasswordFile?: string;
  readonly mqttCa?: string;
  readonly mqttCert?: string;
  readonly mqttKey?: string;
  readonly mqttTimeout?: string;
  readonly deviceId?: string;
}

export interface MqttSettings {
  readonly broker: BrokerSettings;
  readonly timeoutMs: number;
  /** As given with --device-id; the caller knows the default. */
  readonly deviceId: string | undefined;
}

/** An MQTT option that cannot be used; the message names the option. */
export class MqttOptionError extends AgentError {
  override readonly name = 'MqttOptionError';

  constructor(flag: string, why: string, cause?: unknown) {
    super('BAD_OPTION', `${flag}: ${why}`, { cause });
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_TIMEOUT_SECONDS = 20;
const MAX_TIMEOUT_SECONDS = 3600;
/** A bundle of every public CA is about a quarter of this. */
const MAX_FILE_BYTES = 1024 * 1024;
/** Length limit of a user name or password in MQTT. */
const MAX_CREDENTIAL_BYTES = 65_535;
const PASSWORD_VARIABLE = 'EDGEFIT_MQTT_PASSWORD';

/** Adds the options of a command that reports over MQTT. A password is never an option. */
export function addMqttOptions(command: Command): Command {
  return command
    .option('--mqtt <url>', 'report to this broker: mqtt://, mqtts://, ws:// or wss://HOST[:PORT]')
    .option('--mqtt-user <name>', 'user name at the broker')
    .option(
      '--mqtt-password-file <file>',
      `file with the password, or set ${PASSWORD_VARIABLE} (never on the command line)`,
    )
    .option('--mqtt-ca <file>', 'CA of the broker, PEM (default: those of the system)')
    .option('--mqtt-cert <file>', 'client certificate, PEM; needs --mqtt-key')
    .option('--mqtt-key <file>', 'key of the client certificate, PEM')
    .option(
      '--mqtt-timeout <seconds>',
      `longest wait for an answer of the broker (default: ${DEFAULT_TIMEOUT_SECONDS})`,
    )
    .option('--device-id <id>', 'name of this device: 1 to 64 of A-Z a-z 0-9 . _ and -');
}

async function readOption(flag: string, path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) {
      throw new MqttOptionError(flag, `${path} has ${size} bytes; that is not such a file`);
    }
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof MqttOptionError) throw error;
    throw new MqttOptionError(flag, messageOf(fileError('read', path, error)), error);
  }
}

async function readPem<T>(
  flag: string,
  path: string,
  what: string,
  parse: (pem: string) => T,
): Promise<{ pem: string; parsed: T }> {
  const pem = await readOption(flag, path);
  try {
    return { pem, parsed: parse(pem) };
  } catch (error) {
    throw new MqttOptionError(flag, `${path} is not ${what} in PEM form`, error);
  }
}

const parseCertificate = (pem: string) => new X509Certificate(pem);

async function readIdentity(certPath: string, keyPath: string): Promise<TlsFiles> {
  const cert = await readPem('--mqtt-cert', certPath, 'a certificate', parseCertificate);
  const key = await readPem<KeyObject>(
    '--mqtt-key',
    keyPath,
    'a private key without passphrase',
    createPrivateKey,
  );
  if (!cert.parsed.checkPrivateKey(key.parsed)) {
    throw new MqttOptionError('--mqtt-key', `${keyPath} is not the key of ${certPath}`);
  }
  return { cert: cert.pem, key: key.pem };
}

async function readTls(options: MqttOptions, url: ParsedBrokerUrl): Promise<TlsFiles | undefined> {
  const { mqttCa, mqttCert, mqttKey } = options;
  const given = [
    mqttCa === undefined ? [] : ['--mqtt-ca'],
    mqttCert === undefined ? [] : ['--mqtt-cert'],
    mqttKey === undefined ? [] : ['--mqtt-key'],
  ].flat();
  const [first] = given;
  if (first === undefined) return undefined;
  const { protocol, display } = url.address;
  if (protocol === 'mqtt' || protocol === 'ws') {
    throw new MqttOptionError(first, `${display} is without TLS: use ${protocol}s:// with it`);
  }
  if (mqttCert !== undefined && mqttKey === undefined) {
    throw new MqttOptionError('--mqtt-cert', 'give its key too, with --mqtt-key FILE');
  }
  if (mqttKey !== undefined && mqttCert === undefined) {
    throw new MqttOptionError('--mqtt-key', 'give its certificate too, with --mqtt-cert FILE');
  }
  const ca =
    mqttCa === undefined
      ? {}
      : { ca: (await readPem('--mqtt-ca', mqttCa, 'a certificate', parseCertificate)).pem };
  const identity =
    mqttCert === undefined || mqttKey === undefined ? {} : await readIdentity(mqttCert, mqttKey);
  return { ...ca, ...identity };
}

/** The password and where it came from: the file, else the environment, else the URL. */
async function readPassword(options: MqttOptions, env: Environment, url: ParsedBrokerUrl) {
  if (options.mqttPasswordFile !== undefined) {
    const from = '--mqtt-password-file';
    const text = await readOption(from, options.mqttPasswordFile);
    const password = text.replace(/\r?\n$/, '');
    if (password === '') {
      throw new MqttOptionError(from, `${options.mqttPasswordFile} is empty`);
    }
    return { from, password };
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
    throw new MqttOptionError(from, 'a password needs a user name: give --mqtt-user NAME');
  }
  if (user !== undefined && Buffer.byteLength(user) > MAX_CREDENTIAL_BYTES) {
    throw new MqttOptionError('--mqtt-user', 'the name is too long for MQTT');
  }
  if (password !== undefined && Buffer.byteLength(password) > MAX_CREDENTIAL_BYTES) {
    throw new MqttOptionError(from, 'the password is too long for MQTT');
  }
  return { user, password };
}

function readTimeout(text: string | undefined): number {
  const seconds = text === undefined ? DEFAULT_TIMEOUT_SECONDS : Number(text);
  if (text?.trim() === '' || !(seconds > 0 && seconds <= MAX_TIMEOUT_SECONDS)) {
    throw new MqttOptionError(
      '--mqtt-timeout',
      `use a number up to ${MAX_TIMEOUT_SECONDS} seconds`,
    );
  }
  return Math.ceil(seconds * 1000);
}

function readUrl(text: string): ParsedBrokerUrl {
  try {
    return parseBrokerUrl(text);
  } catch (error) {
    if (error instanceof ReportError) throw new MqttOptionError('--mqtt', error.message, error);
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
 * no report is wanted. Throws MqttOptionError (exit code 2), never with a password in its message.
 */
export async function readMqttSettings(
  options: MqttOptions,
  env: Environment,
): Promise<MqttSettings | null> {
  const { deviceId } = options;
  if (deviceId !== undefined && !isId(deviceId)) {
    const why = 'use 1 to 64 of A-Z a-z 0-9 . _ and -';
    throw new MqttOptionError('--device-id', `${JSON.stringify(deviceId)} is no device id: ${why}`);
  }
  if (options.mqtt === undefined) {
    const stray = strayOption(options);
    if (stray !== undefined) throw new MqttOptionError(stray, 'only with --mqtt URL');
    return null;
  }
  const url = readUrl(options.mqtt);
  const tls = await readTls(options, url);
  const credentials = await readCredentials(options, env, url);
  const timeoutMs = readTimeout(options.mqttTimeout);
  return { broker: { address: url.address, ...credentials, tls }, timeoutMs, deviceId };
}
