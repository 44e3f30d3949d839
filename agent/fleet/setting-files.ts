import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { AgentError, messageOf } from '../util/errors.ts';
import { fileError } from '../util/files.ts';
import { readLimited } from '../util/read-limited.ts';
import type { TlsFiles } from './broker-link.ts';

/** A setting that cannot be used, most often because of the file it names. */
export class SettingError extends AgentError {
  override readonly name = 'SettingError';
  /** The option or key of the setting. */
  readonly setting: string;
  readonly why: string;

  constructor(setting: string, why: string, cause?: unknown) {
    super('BAD_OPTION', `${setting}: ${why}`, { cause });
    this.setting = setting;
    this.why = why;
  }
}

/** A bundle of every public CA is about a quarter of this. */
const MAX_FILE_BYTES = 1024 * 1024;
/** Length limit of a user name or password in MQTT. */
const MAX_CREDENTIAL_BYTES = 65_535;

/** The text of a file that a setting names. Throws SettingError. */
export async function readSettingFile(setting: string, path: string): Promise<string> {
  try {
    const bytes = await readLimited(path, MAX_FILE_BYTES);
    if (bytes !== null) return bytes.toString('utf8');
    throw new SettingError(
      setting,
      `${path} has over ${MAX_FILE_BYTES} bytes: that is not such a file`,
    );
  } catch (error) {
    if (error instanceof SettingError) throw error;
    throw new SettingError(setting, messageOf(fileError('read', path, error)), error);
  }
}

/** A password, without the line end that editors leave behind it. Throws SettingError. */
export async function readPasswordFile(setting: string, path: string): Promise<string> {
  const password = (await readSettingFile(setting, path)).replace(/\r?\n$/, '');
  if (password === '') throw new SettingError(setting, `${path} is empty`);
  if (Buffer.byteLength(password) > MAX_CREDENTIAL_BYTES) {
    throw new SettingError(setting, 'the password is too long for MQTT');
  }
  return password;
}

async function readPem<T>(
  setting: string,
  path: string,
  what: string,
  parse: (pem: string) => T,
): Promise<{ pem: string; parsed: T }> {
  const pem = await readSettingFile(setting, path);
  try {
    return { pem, parsed: parse(pem) };
  } catch (error) {
    throw new SettingError(setting, `${path} is not ${what} in PEM form`, error);
  }
}

const parseCertificate = (pem: string) => new X509Certificate(pem);

/** The PEM text of a CA. Throws SettingError. */
export async function readCa(setting: string, path: string): Promise<TlsFiles> {
  return { ca: (await readPem(setting, path, 'a certificate', parseCertificate)).pem };
}

/** A certificate and its key, and whether they belong together. Throws SettingError. */
export async function readIdentity(
  cert: { readonly setting: string; readonly path: string },
  key: { readonly setting: string; readonly path: string },
): Promise<TlsFiles> {
  const certificate = await readPem(cert.setting, cert.path, 'a certificate', parseCertificate);
  const secret = await readPem<KeyObject>(
    key.setting,
    key.path,
    'a private key without passphrase',
    createPrivateKey,
  );
  if (!certificate.parsed.checkPrivateKey(secret.parsed)) {
    throw new SettingError(key.setting, `${key.path} is not the key of ${cert.path}`);
  }
  return { cert: certificate.pem, key: secret.pem };
}
