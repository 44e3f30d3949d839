import {
  Metadata,
  MetaFile,
  Root,
  Signature,
  Snapshot,
  TargetFile,
  Targets,
  Timestamp,
} from '@tufjs/models';
import { createHash } from 'node:crypto';
import { TrustError } from '../errors.ts';
import type { SigningKey } from '../key-file.ts';
import { keyIdOf } from './key-id.ts';
import { tufKey } from './key.ts';
import { DOCUMENT_PATHS, DOCUMENT_ROLE, SIGNED_AT } from './layout.ts';
import { releaseCounterOf } from './trusted-targets.ts';

/** Specification that the metadata is written by. */
const SPEC_VERSION = '1.0.31';
const DAY_MS = 86_400_000;

export const roleNames = ['root', 'targets', 'snapshot', 'timestamp'] as const;
export type RoleName = (typeof roleNames)[number];

/** Days until each kind of metadata expires: the timestamp soon, it is signed by a machine. */
export const EXPIRY_DAYS: Readonly<Record<RoleName, number>> = {
  root: 365,
  targets: 180,
  snapshot: 30,
  timestamp: 7,
};

/** The keys of a role, public halves in hexadecimal, and how many of them have to sign. */
export interface RoleKeys {
  readonly keys: readonly string[];
  readonly threshold: number;
}

export type Roles = Readonly<Record<RoleName, RoleKeys>>;

/** Metadata in the form that is served, and its version. */
export interface SignedFile {
  readonly version: number;
  readonly bytes: Uint8Array;
}

type Signed = Root | Targets | Snapshot | Timestamp;

interface Common {
  readonly version: number;
  readonly nowMs: number;
  readonly days: number;
}

function common({ version, nowMs, days }: Common) {
  // TUF's dates have whole seconds (specification 4.2).
  const expires = new Date(nowMs + days * DAY_MS).toISOString().replace(/\.\d+Z$/, 'Z');
  return { version, specVersion: SPEC_VERSION, expires };
}

/** Root metadata that names the keys of all roles. Throws TrustError on a threshold out of reach. */
export function makeRoot(roles: Roles, times: Common): Root {
  for (const role of roleNames) checkThreshold(role, roles[role].keys, roles[role].threshold);
  const all = roleNames.flatMap((role) => roles[role].keys);
  const { version, expires } = common(times);
  return Root.fromJSON({
    _type: 'root',
    version,
    spec_version: SPEC_VERSION,
    expires,
    consistent_snapshot: true,
    keys: keysJson(all),
    roles: Object.fromEntries(roleNames.map((role) => [role, roleJson(roles[role])])),
  });
}

function keysJson(keys: readonly string[]) {
  return Object.fromEntries(keys.map((key) => [keyIdOf(key), tufKey(key).toJSON()]));
}

function roleJson({ keys, threshold }: RoleKeys) {
  return { keyids: [...new Set(keys)].map(keyIdOf), threshold };
}

function checkThreshold(role: string, keys: readonly string[], threshold: number): void {
  const different = new Set(keys).size;
  if (Number.isInteger(threshold) && threshold >= 1 && threshold <= different) return;
  const message = `${role}: ${threshold} signatures cannot come from ${different} keys`;
  throw new TrustError('MISSING_KEY', message);
}

/** The keys of every role, as root metadata names them. */
export function rolesOf(root: Root): Roles {
  const keysOf = (role: RoleName): RoleKeys => {
    const { keyIDs = [], threshold = 1 } = root.roles[role] ?? {};
    return { keys: keyIDs.flatMap((id) => root.keys[id]?.keyVal['public'] ?? []), threshold };
  };
  return {
    root: keysOf('root'),
    targets: keysOf('targets'),
    snapshot: keysOf('snapshot'),
    timestamp: keysOf('timestamp'),
  };
}

/** A file to be offered, with what is signed beside it. */
export interface NewTarget {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly releaseCounter: number | null;
}

/** Targets metadata: all files, and who may sign documents. */
export function makeTargets(
  targets: readonly NewTarget[],
  documents: RoleKeys | null,
  times: Common,
): Targets {
  const data = Targets.fromJSON({
    _type: 'targets',
    version: times.version,
    spec_version: SPEC_VERSION,
    expires: common(times).expires,
    targets: {},
    ...(documents === null ? {} : { delegations: delegationsFor(documents) }),
  });
  for (const { path, bytes, sha256, releaseCounter } of targets) {
    const unrecognizedFields = releaseCounter === null ? {} : { custom: { releaseCounter } };
    data.addTarget(new TargetFile({ path, length: bytes, hashes: { sha256 }, unrecognizedFields }));
  }
  return data;
}

function delegationsFor({ keys, threshold }: RoleKeys) {
  checkThreshold(DOCUMENT_ROLE, keys, threshold);
  return {
    keys: keysJson(keys),
    roles: [
      {
        name: DOCUMENT_ROLE,
        ...roleJson({ keys, threshold }),
        terminating: false,
        paths: [...DOCUMENT_PATHS],
      },
    ],
  };
}

/** What a repository's targets metadata holds, to make the next version of it. */
export function contentsOf(targets: Targets): {
  readonly files: readonly NewTarget[];
  readonly documents: RoleKeys | null;
} {
  const files = Object.values(targets.targets).map((file) => ({
    path: file.path,
    bytes: file.length,
    sha256: file.hashes['sha256'] ?? '',
    releaseCounter: releaseCounterOf(file),
  }));
  const role = targets.delegations?.roles?.[DOCUMENT_ROLE];
  if (role === undefined) return { files, documents: null };
  const keys = role.keyIDs.flatMap((id) => targets.delegations?.keys[id]?.keyVal['public'] ?? []);
  return { files, documents: { keys, threshold: role.threshold } };
}

export function makeSnapshot(targets: SignedFile, times: Common): Snapshot {
  const meta = { 'targets.json': describe(targets) };
  return new Snapshot({ ...common(times), meta });
}

export function makeTimestamp(snapshot: SignedFile, times: Common): Timestamp {
  const signedAt = new Date(times.nowMs).toISOString();
  return new Timestamp({
    ...common(times),
    snapshotMeta: describe(snapshot),
    unrecognizedFields: { [SIGNED_AT]: signedAt },
  });
}

function describe({ version, bytes }: SignedFile): MetaFile {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return new MetaFile({ version, length: bytes.length, hashes: { sha256 } });
}

/**
 * Signs with those of the keys that the roles name, once for each set of role keys given (a new root
 * is signed by the old keys and the new). Throws TrustError (MISSING_KEY) naming what is missing.
 */
export function sign(
  what: string,
  signed: Signed,
  by: readonly RoleKeys[],
  keys: readonly SigningKey[],
): SignedFile {
  const wanted = new Set(by.flatMap((role) => role.keys));
  const metadata = new Metadata<Signed>(signed);
  for (const key of keys.filter((candidate) => wanted.has(candidate.public))) {
    metadata.sign((bytes) => {
      const sig = Buffer.from(key.sign(bytes)).toString('hex');
      return new Signature({ keyID: key.keyId, sig });
    });
  }
  for (const role of by) checkEnough(what, role, keys);
  const text = `${JSON.stringify(metadata.toJSON(), null, 1)}\n`;
  return { version: signed.version, bytes: Buffer.from(text) };
}

function checkEnough(what: string, role: RoleKeys, keys: readonly SigningKey[]): void {
  const given = new Set(keys.map((key) => key.public));
  const have = role.keys.filter((key) => given.has(key)).length;
  if (have >= role.threshold) return;
  const missing = role.keys
    .filter((key) => !given.has(key))
    .map((key) => keyIdOf(key).slice(0, 12));
  const message =
    `${what} needs ${role.threshold} signatures and ${have} of its keys are given: ` +
    `add --key with ${role.threshold - have} of ${missing.join(', ')}`;
  throw new TrustError('MISSING_KEY', message);
}
