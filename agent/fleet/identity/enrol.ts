import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { readFirstRoot } from '../../deploy/tuf/first-root.ts';
import { writeFileDurably } from '../../util/files.ts';
import { readSettingFile } from '../setting-files.ts';
import { certificateRequest } from './certificate-request.ts';
import { IdentityError } from './error.ts';
import { readRemains } from './remains.ts';
import { identityFiles, readIdentityName } from './store.ts';
import type { IdentityFiles, IdentityName } from './store.ts';

export const keyTypes = ['ecdsa', 'ed25519'] as const;
export type KeyType = (typeof keyTypes)[number];

export interface EnrolOptions {
  readonly state: string;
  readonly deviceId: string;
  /** Nobody named that id: the one that it is enrolled under already counts more. */
  readonly isDefaultId?: boolean | undefined;
  /** Makes a key pair and a certificate request unless a user name is given. */
  readonly keyType: KeyType;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** Path of the certificate that came back for the request. */
  readonly cert?: string | undefined;
  readonly ca?: string | undefined;
  /** Path of the first root of the signed metadata. */
  readonly root?: string | undefined;
  /** Takes that root in the place of another one that is trusted; the identity stays. */
  readonly replaceRoot?: boolean | undefined;
  /** Replaces what is there, the key too. */
  readonly force: boolean;
}

export interface EnrolResult {
  readonly deviceId: string;
  readonly user: string | null;
  /** Path of the certificate request, null for a user with a password. */
  readonly request: string | null;
  /** What was written now; nothing when everything was there already. */
  readonly written: readonly string[];
  /** What is still missing before the device can connect by certificate. */
  readonly hasCertificate: boolean;
  readonly hasRoot: boolean;
}

/** Only the daemon's user may read what is in here. */
const MODE = 0o600;

/**
 * Gives a device its identity: a key pair with a certificate request, or a user name and password,
 * and the first root of trust. Doing it again changes nothing; a new certificate for the same key, and
 * a new CA, replace those before; what would replace anything else needs `force`, another root
 * `replaceRoot` or that. A root is checked before it takes the place of the old one. Throws
 * IdentityError, SettingError, TrustError and FileError.
 */
export async function enrol(options: EnrolOptions): Promise<EnrolResult> {
  const { state, force } = options;
  const files = identityFiles(state);
  const user = options.user ?? null;
  const found = force ? null : await readIdentityName(state).catch(whenDamaged);
  const before = found === DAMAGED ? await readRemains(files, options.deviceId, user) : found;
  const deviceId = (options.isDefaultId === true ? before?.deviceId : null) ?? options.deviceId;
  if (before !== null) checkSame(before, deviceId, user, files);
  // Read and checked before anything is written.
  const incoming = await readIncomingFiles(options, files);
  const key = user === null ? await keyFor(files, options.keyType, force) : null;
  const wanted = new Map<string, string>(incoming);
  if (key !== null) {
    wanted.set(files.keyFile, key.pem);
    if (key.isNew || !existsSync(files.requestFile)) {
      wanted.set(files.requestFile, certificateRequest(createPrivateKey(key.pem), deviceId));
    }
  }
  if (options.password !== undefined) wanted.set(files.passwordFile, options.password);
  const name: IdentityName = { v: 1, deviceId, user };
  wanted.set(files.nameFile, `${JSON.stringify(name)}\n`);
  const certPem = wanted.get(files.certFile);
  if (certPem !== undefined) checkCertificate(certPem, key?.pem, options.cert ?? '');
  if (force) await removeOthers(files, user, wanted);
  const written = await writeAll(wanted, force, [
    files.certFile,
    files.caFile,
    // Asked for where it is read.
    files.rootFile,
    files.firstRootFile,
    ...(found === DAMAGED ? [files.nameFile] : []),
  ]);
  return {
    deviceId,
    user,
    request: key === null ? null : files.requestFile,
    written,
    hasCertificate: existsSync(files.certFile),
    hasRoot: existsSync(files.rootFile),
  };
}

const DAMAGED = 'damaged';

/** The name is lost: the key is worth keeping, and says with the other files whose it is. */
function whenDamaged(error: unknown): typeof DAMAGED {
  if (error instanceof IdentityError && error.code === 'DAMAGED') return DAMAGED;
  throw error;
}

/** What is left of the identity before would only keep the device from connecting. */
async function removeOthers(
  files: IdentityFiles,
  user: string | null,
  wanted: ReadonlyMap<string, string>,
): Promise<void> {
  const others =
    user === null
      ? [files.passwordFile, files.certFile]
      : [files.passwordFile, files.certFile, files.keyFile, files.requestFile];
  for (const path of others.filter((one) => !wanted.has(one))) {
    // oxlint-disable-next-line no-await-in-loop -- four small files at most
    await rm(path, { force: true });
  }
}

function checkSame(
  before: IdentityName,
  deviceId: string,
  user: string | null,
  files: IdentityFiles,
) {
  if (before.deviceId === deviceId && before.user === user) return;
  const who = before.user === null ? before.deviceId : `${before.deviceId} (user ${before.user})`;
  throw new IdentityError(
    'EXISTS',
    `this device is enrolled as ${who} in ${files.folder}: --force replaces that identity`,
  );
}

async function keyFor(files: IdentityFiles, type: KeyType, force: boolean) {
  if (!force && existsSync(files.keyFile)) {
    return { pem: await readFile(files.keyFile, 'utf8'), isNew: false };
  }
  const { privateKey } =
    type === 'ed25519'
      ? generateKeyPairSync('ed25519')
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { pem: String(privateKey.export({ format: 'pem', type: 'pkcs8' })), isNew: true };
}

async function readIncomingFiles(
  { cert, ca, root, replaceRoot = false, force }: EnrolOptions,
  files: IdentityFiles,
): Promise<readonly (readonly [string, string])[]> {
  const found: (readonly [string, string])[] = [];
  if (ca !== undefined) found.push([files.caFile, await readCertificate('--ca', ca)]);
  if (cert !== undefined) found.push([files.certFile, await readCertificate('--cert', cert)]);
  if (root !== undefined) {
    found.push(...(await rootFiles(root, force || replaceRoot, files)));
  }
  return found;
}

/**
 * The first root, and a copy of it: the trusted one is replaced when the keys change, and the device is
 * enrolled with the same first root all the same.
 */
async function rootFiles(
  path: string,
  mayReplace: boolean,
  { rootFile, firstRootFile }: IdentityFiles,
): Promise<readonly (readonly [string, string])[]> {
  const text = await readFirstRoot(path);
  const first = existsSync(firstRootFile) ? await readFile(firstRootFile, 'utf8') : null;
  const isTrusted = existsSync(rootFile);
  if (!mayReplace && first === text && isTrusted) return [];
  if (isTrusted && !mayReplace && (await readFile(rootFile, 'utf8')) !== text) {
    throw new IdentityError(
      'EXISTS',
      `this device trusts another root than ${path}, in ${rootFile}: --replace-root takes this one ` +
        'instead, and leaves its name and key as they are',
    );
  }
  return [
    [rootFile, text],
    [firstRootFile, text],
  ];
}

async function readCertificate(setting: string, path: string): Promise<string> {
  const pem = await readSettingFile(setting, path);
  try {
    // Only to see whether it is one.
    void new X509Certificate(pem);
    return pem;
  } catch (error) {
    throw new IdentityError(
      'BAD_CERTIFICATE',
      `${setting}: ${path} is no certificate in PEM form`,
      error,
    );
  }
}

function checkCertificate(pem: string, keyPem: string | undefined, path: string): void {
  const matches =
    keyPem !== undefined && new X509Certificate(pem).checkPrivateKey(createPrivateKey(keyPem));
  if (matches) return;
  const why = `${path} is not for the key of this device: have its request signed again`;
  throw new IdentityError('BAD_CERTIFICATE', why);
}

/** Writes what differs. What would replace another content needs `force`, but for what is `renewed`. */
async function writeAll(
  wanted: ReadonlyMap<string, string>,
  force: boolean,
  renewed: readonly string[],
): Promise<string[]> {
  const changes: (readonly [string, string])[] = [];
  for (const [path, content] of wanted) {
    // oxlint-disable-next-line no-await-in-loop -- a handful of small files
    const old = existsSync(path) ? await readFile(path, 'utf8') : null;
    if (old === content) continue;
    if (old !== null && !force && !renewed.includes(path)) {
      throw new IdentityError('EXISTS', `${path} holds something else: --force replaces it`);
    }
    changes.push([path, content]);
  }
  for (const [path, content] of changes) {
    // oxlint-disable-next-line no-await-in-loop -- the key first, the name last: it says all is there
    await writeFileDurably(path, content, MODE);
  }
  return changes.map(([path]) => path);
}
