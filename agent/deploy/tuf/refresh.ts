import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Metadata, Root, Snapshot } from '@tufjs/models';
import { codeOf } from '../../util/errors.ts';
import { fileError, writeFileDurably } from '../../util/files.ts';
import { PATIENCE, readSmall, type Patience } from '../download/http.ts';
import { addressOf, MAX_BYTES, MAX_ROOTS, METADATA } from './layout.ts';
import { NotTrusted } from './refused.ts';
import { signedAtMs, TrustedTargets } from './trusted-targets.ts';
import {
  checkFresh,
  parse,
  startFrom,
  withRoot,
  withSnapshot,
  withTargets,
  withTimestamp,
  type TrustedSet,
} from './trusted-set.ts';

export interface RefreshOptions {
  /** Folder of trusted metadata: root.json came with enrolment, the rest is kept here. */
  readonly folder: string;
  /** Address of the repository. */
  readonly url: string;
  /** The one time that this whole update is judged by (5.1). */
  readonly nowMs: number;
  readonly signal: AbortSignal;
  readonly patience?: Patience;
}

const ROLES = ['root', 'timestamp', 'snapshot', 'targets'] as const;

type Role = (typeof ROLES)[number];

/**
 * Brings the trusted metadata up to date (TUF specification 5, client workflow) and returns what may
 * be downloaded. Each piece is on disk as soon as it is verified, so an update that is cut short still
 * protects from rollback. Throws NotTrusted; the known metadata stays as it is.
 */
export async function refresh(options: RefreshOptions): Promise<TrustedTargets> {
  let set = await newestRoot(options, await knownRoot(options.folder));
  checkFresh(set, 'root', options.nowMs);
  set = await newestTimestamp(options, set);
  set = await newestSnapshot(options, set);
  set = await newestTargets(options, set);
  return new TrustedTargets(set);
}

/** What the last update left, judged by the time given: good enough while offline. */
export async function trustedOffline(folder: string, nowMs: number): Promise<TrustedTargets> {
  let set = await knownRoot(folder);
  set = withTimestamp(set, await mustKnow(folder, 'timestamp'));
  set = withSnapshot(set, await mustKnow(folder, 'snapshot'), undefined);
  set = withTargets(set, await mustKnow(folder, 'targets'));
  for (const role of ROLES) checkFresh(set, role, nowMs);
  return new TrustedTargets(set);
}

/**
 * When the newest timestamp that was verified here was signed, milliseconds since 1970; 0 when there
 * is none.
 */
export async function lastSignedMs(folder: string): Promise<number> {
  const bytes = await readKnown(folder, 'timestamp');
  if (bytes === null) return 0;
  return signedAtMs(parse('timestamp', bytes));
}

async function knownRoot(folder: string): Promise<TrustedSet> {
  const bytes = await readKnown(folder, 'root');
  if (bytes !== null) return startFrom(bytes);
  throw new NotTrusted('not_enrolled', `no root.json in ${folder}: enrol with --root first`);
}

/** Follows root N+1, N+2, ... until there is none (5.3). */
async function newestRoot(options: RefreshOptions, known: TrustedSet): Promise<TrustedSet> {
  let set = known;
  for (let count = 0; count < MAX_ROOTS; count += 1) {
    const name = `${set.root.signed.version + 1}.root.json`;
    // oxlint-disable-next-line no-await-in-loop -- each root vouches for the next
    const bytes = await fetchMetadata(options, name, 'root');
    if (bytes === null) return set;
    set = withRoot(set, bytes);
    // oxlint-disable-next-line no-await-in-loop -- kept before the next is asked for (5.3.8)
    await keep(options, 'root', bytes);
  }
  throw new NotTrusted('endless_data', `more than ${MAX_ROOTS} new roots in one update`);
}

async function newestTimestamp(options: RefreshOptions, start: TrustedSet): Promise<TrustedSet> {
  const local = await readKnown(options.folder, 'timestamp');
  // One that the new root's keys did not sign does not count: recovery from fast-forward (5.3.11).
  const before = local === null ? start : (attempt(() => withTimestamp(start, local)) ?? start);
  const bytes = await mustFetch(options, 'timestamp.json', 'timestamp');
  const set = withTimestamp(before, bytes);
  checkFresh(set, 'timestamp', options.nowMs);
  if (set !== before) await keep(options, 'timestamp', bytes);
  return set;
}

async function newestSnapshot(options: RefreshOptions, set: TrustedSet): Promise<TrustedSet> {
  const local = await readKnown(options.folder, 'snapshot');
  const same = local === null ? null : attempt(() => withSnapshot(set, local, undefined));
  const version = set.timestamp?.signed.snapshotMeta.version;
  const bytes =
    same === null ? await mustFetch(options, fileOf(set, version, 'snapshot'), 'snapshot') : null;
  const next =
    bytes === null ? (same ?? set) : withSnapshot(set, bytes, knownSnapshot(set.root, local));
  checkFresh(next, 'snapshot', options.nowMs);
  if (bytes !== null) await keep(options, 'snapshot', bytes);
  return next;
}

/** The last update's snapshot, if the keys of today vouch for it. */
function knownSnapshot(
  root: Metadata<Root>,
  local: Uint8Array | null,
): Metadata<Snapshot> | undefined {
  if (local === null) return undefined;
  const known = attempt(() => {
    const snapshot = parse('snapshot', local);
    root.verifyDelegate('snapshot', snapshot);
    return snapshot;
  });
  return known ?? undefined;
}

async function newestTargets(options: RefreshOptions, set: TrustedSet): Promise<TrustedSet> {
  const local = await readKnown(options.folder, 'targets');
  const same = local === null ? null : attempt(() => withTargets(set, local));
  const version = set.snapshot?.signed.meta['targets.json']?.version;
  const bytes =
    same === null ? await mustFetch(options, fileOf(set, version, 'targets'), 'targets') : null;
  const next = bytes === null ? (same ?? set) : withTargets(set, bytes);
  checkFresh(next, 'targets', options.nowMs);
  if (bytes !== null) await keep(options, 'targets', bytes);
  return next;
}

/** `7.snapshot.json` with consistent snapshots, else `snapshot.json`. */
function fileOf({ root }: TrustedSet, version: number | undefined, role: Role): string {
  return root.signed.consistentSnapshot ? `${version ?? 0}.${role}.json` : `${role}.json`;
}

function fetchMetadata(options: RefreshOptions, name: string, role: Role) {
  const { url, signal, patience = PATIENCE } = options;
  return readSmall(addressOf(url, METADATA, name), MAX_BYTES[role], { signal, patience });
}

async function mustFetch(options: RefreshOptions, name: string, role: Role): Promise<Uint8Array> {
  const bytes = await fetchMetadata(options, name, role);
  if (bytes !== null) return bytes;
  throw new NotTrusted('missing', `${options.url} has no ${METADATA}/${name}`);
}

async function readKnown(folder: string, role: Role): Promise<Uint8Array | null> {
  const path = join(folder, `${role}.json`);
  try {
    return await readFile(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw fileError('read', path, error);
  }
}

async function mustKnow(folder: string, role: Role): Promise<Uint8Array> {
  const bytes = await readKnown(folder, role);
  if (bytes !== null) return bytes;
  throw new NotTrusted('missing', 'the repository was never read completely on this device');
}

async function keep({ folder }: RefreshOptions, role: Role, bytes: Uint8Array): Promise<void> {
  await writeFileDurably(join(folder, `${role}.json`), bytes);
}

/** Null instead of a refusal: what is on disk may be of an earlier root. */
function attempt<T>(run: () => T): T | null {
  try {
    return run();
  } catch {
    return null;
  }
}
