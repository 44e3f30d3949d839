import { readFile, stat } from 'node:fs/promises';
import type { Metadata, Root, Snapshot, Targets, Timestamp } from '@tufjs/models';
import { codeOf } from '../../util/errors.ts';
import { fileError, writeFileDurably } from '../../util/files.ts';
import { TrustError } from '../errors.ts';
import type { SigningKey } from '../key-file.ts';
import {
  contentsOf,
  EXPIRY_DAYS,
  makeRoot,
  makeSnapshot,
  makeTargets,
  makeTimestamp,
  rolesOf,
  sign,
  type NewTarget,
  type RoleKeys,
  type RoleName,
  type Roles,
  type SignedFile,
} from './authority.ts';
import { MAX_BYTES, metadataFile } from './layout.ts';
import { NotTrusted } from './refused.ts';
import {
  startFrom,
  withRoot,
  withSnapshot,
  withTargets,
  withTimestamp,
  type TrustedSet,
} from './trusted-set.ts';

/** The operator's side: a folder of plain files that any HTTP server can serve. */
export interface RepositoryOptions {
  readonly folder: string;
  readonly keys: readonly SigningKey[];
  /** The signer's own copy of the first root; without it the folder's is believed. */
  readonly firstRoot?: Uint8Array | undefined;
  readonly nowMs: number;
  /** Days until metadata expires, where it differs from EXPIRY_DAYS. */
  readonly days?: Partial<Record<RoleName, number>>;
}

interface Current {
  readonly root: Metadata<Root>;
  readonly timestamp: Metadata<Timestamp>;
  readonly snapshot: Metadata<Snapshot>;
  readonly targets: Metadata<Targets>;
}

/**
 * Makes an empty repository; `documents` may sign jobs. The root is written last: what is cut short
 * before it can be made again. Throws TrustError (EXISTS, MISSING_KEY).
 */
export async function createRepository(
  options: RepositoryOptions,
  roles: Roles,
  documents: RoleKeys | null = null,
): Promise<void> {
  const first = metadataFile(options.folder, '1.root.json');
  if (await exists(first)) {
    throw new TrustError('EXISTS', `${options.folder} is a repository already`);
  }
  const root = makeRoot(roles, times(options, 'root', 1));
  const signed = sign('root.json', root, [roles.root], options.keys);
  const rest = makeRest(options, roles, { targets: 1, snapshot: 1, timestamp: 1 }, [], documents);
  await writeRest(options.folder, rest);
  await writeFileDurably(first, signed.bytes);
}

/** What a change does with the files and the keys for documents; either may stay as it is. */
export interface Change {
  readonly add?: readonly NewTarget[];
  readonly documents?: RoleKeys;
}

/**
 * Signs the next version of targets, snapshot and timestamp. The timestamp is written last: until
 * then a device sees the old state, whole.
 */
export async function changeTargets(options: RepositoryOptions, change: Change): Promise<void> {
  const now = await readRepository(options.folder, options.firstRoot);
  const { files, documents } = contentsOf(now.targets.signed);
  const added = new Map((change.add ?? []).map((target) => [target.path, target]));
  const all = [...files.filter(({ path }) => !added.has(path)), ...added.values()];
  const versions = {
    targets: now.targets.signed.version + 1,
    snapshot: now.snapshot.signed.version + 1,
    timestamp: now.timestamp.signed.version + 1,
  };
  const roles = rolesOf(now.root.signed);
  const rest = makeRest(options, roles, versions, all, change.documents ?? documents);
  await writeRest(options.folder, rest);
}

/**
 * Signs the timestamp anew, so that it does not expire; the snapshot, too, when less than half of its
 * time is left. Needs no key that decides what devices run, so a machine may do it every day.
 */
export async function refreshTimestamp(options: RepositoryOptions): Promise<void> {
  const now = await readRepository(options.folder, options.firstRoot);
  const roles = rolesOf(now.root.signed);
  const renew = isAging(options, now.snapshot.signed.expires);
  const snapshot = renew
    ? await nextSnapshot(options, now, roles)
    : await storedSnapshot(options, now);
  const version = now.timestamp.signed.version + 1;
  const timestamp = sign(
    'timestamp.json',
    makeTimestamp(snapshot, times(options, 'timestamp', version)),
    [roles.timestamp],
    options.keys,
  );
  if (renew) await writeVersion(options.folder, 'snapshot', snapshot);
  await writeFileDurably(metadataFile(options.folder, 'timestamp.json'), timestamp.bytes);
}

function isAging({ nowMs, days }: RepositoryOptions, expires: string): boolean {
  const whole = (days?.snapshot ?? EXPIRY_DAYS.snapshot) * 86_400_000;
  return Date.parse(expires) - nowMs < whole / 2;
}

async function nextSnapshot(
  options: RepositoryOptions,
  now: Current,
  roles: Roles,
): Promise<SignedFile> {
  const { version } = now.targets.signed;
  const bytes = await readMetadata(options.folder, `${version}.targets.json`);
  const age = times(options, 'snapshot', now.snapshot.signed.version + 1);
  const snapshot = makeSnapshot({ version, bytes }, age);
  return sign('snapshot.json', snapshot, [roles.snapshot], options.keys);
}

async function storedSnapshot({ folder }: RepositoryOptions, now: Current): Promise<SignedFile> {
  const { version } = now.snapshot.signed;
  return { version, bytes: await readMetadata(folder, `${version}.snapshot.json`) };
}

/**
 * Gives roles other keys (TUF specification 6.1): the next root, signed by the old root keys and the
 * new, and everything that a replaced key had signed, signed anew.
 */
export async function rotateKeys(
  options: RepositoryOptions,
  changed: Partial<Record<RoleName, RoleKeys>>,
): Promise<void> {
  const now = await readRepository(options.folder, options.firstRoot);
  const old = rolesOf(now.root.signed);
  const roles: Roles = { ...old, ...changed };
  const version = now.root.signed.version + 1;
  const root = makeRoot(roles, times(options, 'root', version));
  const signed = sign('root.json', root, [old.root, roles.root], options.keys);
  const { files, documents } = contentsOf(now.targets.signed);
  const versions = {
    targets: now.targets.signed.version + 1,
    snapshot: now.snapshot.signed.version + 1,
    timestamp: now.timestamp.signed.version + 1,
  };
  const rest = makeRest(options, roles, versions, files, documents);
  // The old timestamp does not name these, so devices do not see them before the new root.
  await writeVersion(options.folder, 'targets', rest.targets);
  await writeVersion(options.folder, 'snapshot', rest.snapshot);
  await writeVersion(options.folder, 'root', signed);
  await writeFileDurably(metadataFile(options.folder, 'timestamp.json'), rest.timestamp.bytes);
}

type Rest = Readonly<Record<'targets' | 'snapshot' | 'timestamp', SignedFile>>;

function makeRest(
  options: RepositoryOptions,
  roles: Roles,
  versions: Readonly<Record<keyof Rest, number>>,
  files: readonly NewTarget[],
  documents: RoleKeys | null,
): Rest {
  const { keys } = options;
  const timesOf = (role: keyof Rest) => times(options, role, versions[role]);
  const targets = sign(
    'targets.json',
    makeTargets(files, documents, timesOf('targets')),
    [roles.targets],
    keys,
  );
  checkReadable('targets', targets);
  const snapshot = sign(
    'snapshot.json',
    makeSnapshot(targets, timesOf('snapshot')),
    [roles.snapshot],
    keys,
  );
  const timestamp = sign(
    'timestamp.json',
    makeTimestamp(snapshot, timesOf('timestamp')),
    [roles.timestamp],
    keys,
  );
  return { targets, snapshot, timestamp };
}

/** What is larger than devices read would keep the whole fleet from every update. */
function checkReadable(role: RoleName, { bytes }: SignedFile): void {
  if (bytes.length <= MAX_BYTES[role]) return;
  throw new TrustError(
    'BAD_PACKAGE',
    `${role}.json would have ${bytes.length} bytes and devices read ${MAX_BYTES[role]}: ` +
      'pack samples as .npz instead of loose files, or begin another repository',
  );
}

async function writeRest(folder: string, { targets, snapshot, timestamp }: Rest): Promise<void> {
  await writeVersion(folder, 'targets', targets);
  await writeVersion(folder, 'snapshot', snapshot);
  await writeFileDurably(metadataFile(folder, 'timestamp.json'), timestamp.bytes);
}

function writeVersion(
  folder: string,
  role: RoleName,
  { version, bytes }: SignedFile,
): Promise<void> {
  return writeFileDurably(metadataFile(folder, `${version}.${role}.json`), bytes);
}

function times({ nowMs, days }: RepositoryOptions, role: RoleName, version: number) {
  return { version, nowMs, days: days?.[role] ?? EXPIRY_DAYS[role] };
}

/**
 * The newest metadata in the folder, verified from its first root on: nobody signs a next version of
 * what somebody else has changed. Whoever can write into the folder can replace its first root too,
 * and with it everything: `firstRoot`, kept elsewhere, shows that. Expiry does not count, signing
 * anew is what mends it. Throws TrustError (BAD_REPOSITORY), NotTrusted.
 */
export async function readRepository(folder: string, firstRoot?: Uint8Array): Promise<Current> {
  let set = await newestRoot(folder, firstRoot);
  set = withTimestamp(set, await readMetadata(folder, 'timestamp.json'));
  const { version = 0 } = set.timestamp?.signed.snapshotMeta ?? {};
  set = withSnapshot(set, await readMetadata(folder, `${version}.snapshot.json`), undefined);
  const targetsVersion = set.snapshot?.signed.meta['targets.json']?.version ?? 0;
  set = withTargets(set, await readMetadata(folder, `${targetsVersion}.targets.json`));
  const { root, timestamp, snapshot, targets } = set;
  if (timestamp === undefined || snapshot === undefined || targets === undefined) {
    throw new TrustError('BAD_REPOSITORY', `${folder} is not complete`);
  }
  return { root, timestamp, snapshot, targets };
}

async function newestRoot(folder: string, firstRoot?: Uint8Array): Promise<TrustedSet> {
  const first = await readMetadata(folder, '1.root.json');
  if (firstRoot !== undefined && Buffer.compare(first, firstRoot) !== 0) {
    const message = `the first root of ${folder} is not the one given: somebody has replaced it`;
    throw new NotTrusted('bad_signature', message);
  }
  let set = startFrom(first);
  for (let version = 2; await exists(metadataFile(folder, `${version}.root.json`)); version += 1) {
    // oxlint-disable-next-line no-await-in-loop -- each root vouches for the next
    set = withRoot(set, await readMetadata(folder, `${version}.root.json`));
  }
  return set;
}

/** The first root: what devices are enrolled with. */
export function firstRootFile(folder: string): string {
  return metadataFile(folder, '1.root.json');
}

async function readMetadata(folder: string, name: string): Promise<Uint8Array> {
  try {
    return await readFile(metadataFile(folder, name));
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw fileError('read', metadataFile(folder, name), error);
    const message = `${folder} is no repository: it has no metadata/${name}; make one with 'agent model init'`;
    throw new TrustError('BAD_REPOSITORY', message, { cause: error });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw fileError('read', path, error);
  }
}
