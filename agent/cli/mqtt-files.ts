import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import type { TlsFiles } from '../fleet/broker-link.ts';
import type { BrokerAddress } from '../fleet/broker-url.ts';
import { AgentError, messageOf } from '../util/errors.ts';
import { fileError } from '../util/files.ts';

/** The options that name files of TLS. */
export interface TlsOptions {
  readonly mqttCa?: string;
  readonly mqttCert?: string;
  readonly mqttKey?: string;
}

/** An MQTT option that cannot be used; the message names the option. */
export class MqttOptionError extends AgentError {
  override readonly name = 'MqttOptionError';

  constructor(flag: string, why: string, cause?: unknown) {
    super('BAD_OPTION', `${flag}: ${why}`, { cause });
  }
}

/** A bundle of every public CA is about a quarter of this. */
const MAX_FILE_BYTES = 1024 * 1024;

/** The text of a file that an option names. Throws MqttOptionError. */
export async function readOption(flag: string, path: string): Promise<string> {
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

/** Reads and checks CA, client certificate and key. Undefined when none is given. */
export async function readTls(
  options: TlsOptions,
  { protocol, display }: BrokerAddress,
): Promise<TlsFiles | undefined> {
  const { mqttCa, mqttCert, mqttKey } = options;
  const given = [
    mqttCa === undefined ? [] : ['--mqtt-ca'],
    mqttCert === undefined ? [] : ['--mqtt-cert'],
    mqttKey === undefined ? [] : ['--mqtt-key'],
  ].flat();
  const [first] = given;
  if (first === undefined) return undefined;
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
