import {
  Metadata,
  MetadataKind,
  type Root,
  type Snapshot,
  type Targets,
  type Timestamp,
} from '@tufjs/models';
import { messageOf } from '../../util/errors.ts';
import { NotTrusted, type RefusalCode } from './refused.ts';

/**
 * Metadata that has been verified, one step of the client workflow each (TUF specification 1.0.34,
 * section 5). Pure: bytes and a time in, a larger set out; `NotTrusted` where a check fails. Written
 * on @tufjs/models and not taken from tuf-js, which judges by the machine's clock only and reports
 * refusals as text.
 */
export interface TrustedSet {
  readonly root: Metadata<Root>;
  readonly timestamp?: Metadata<Timestamp>;
  readonly snapshot?: Metadata<Snapshot>;
  readonly targets?: Metadata<Targets>;
}

interface Kinds {
  readonly root: Root;
  readonly timestamp: Timestamp;
  readonly snapshot: Snapshot;
  readonly targets: Targets;
}

/** Starts from the root that came with enrolment, or a later one that was verified (5.2). */
export function startFrom(rootBytes: Uint8Array): TrustedSet {
  const root = parse('root', rootBytes);
  checkSignatures(root, 'root', root);
  return { root };
}

/** The next root: signed by the old keys and by its own, exactly one version on (5.3.4, 5.3.5). */
export function withRoot({ root }: TrustedSet, bytes: Uint8Array): TrustedSet {
  const next = parse('root', bytes);
  checkSignatures(root, 'root', next);
  checkSignatures(next, 'root', next);
  const [version, expected] = [next.signed.version, root.signed.version + 1];
  if (version !== expected) {
    throw new NotTrusted('rollback', `root.json has version ${version} where ${expected} follows`);
  }
  return { root: next };
}

/**
 * The timestamp (5.4). An expired root ends the update here (5.3.10). A timestamp of the same version
 * as the known one is that one (5.4.3.1). Not judged by expiry yet: an old one still protects from
 * rollback (`checkFresh`).
 */
export function withTimestamp(set: TrustedSet, bytes: Uint8Array): TrustedSet {
  const timestamp = parse('timestamp', bytes);
  checkSignatures(set.root, 'timestamp', timestamp);
  const known = set.timestamp?.signed;
  if (known !== undefined) {
    refuseOlder('timestamp.json', timestamp.signed.version, known.version);
    if (timestamp.signed.version === known.version) return set;
    refuseOlder('snapshot.json', timestamp.signed.snapshotMeta.version, known.snapshotMeta.version);
  }
  return { ...set, timestamp };
}

/**
 * The snapshot (5.5): what the timestamp announces, and no file of the known one missing or older.
 * `known` is the one of the last update.
 */
export function withSnapshot(
  set: TrustedSet,
  bytes: Uint8Array,
  known: Metadata<Snapshot> | undefined,
): TrustedSet {
  const { snapshotMeta } = required(set.timestamp, 'timestamp').signed;
  check('mix_and_match', 'snapshot.json is not the one that timestamp.json names', () => {
    snapshotMeta.verify(Buffer.from(bytes));
  });
  const snapshot = parse('snapshot', bytes);
  checkSignatures(set.root, 'snapshot', snapshot);
  refuseOther('snapshot.json', snapshot.signed.version, snapshotMeta.version, 'timestamp.json');
  for (const [file, { version }] of Object.entries(known?.signed.meta ?? {})) {
    const now = snapshot.signed.meta[file];
    if (now === undefined) {
      throw new NotTrusted('rollback', `${file} has vanished from snapshot.json`);
    }
    refuseOlder(file, now.version, version);
  }
  return { ...set, snapshot };
}

/** The targets (5.6): what the snapshot names. */
export function withTargets(set: TrustedSet, bytes: Uint8Array): TrustedSet {
  const meta = required(set.snapshot, 'snapshot').signed.meta['targets.json'];
  if (meta === undefined) {
    throw new NotTrusted('malformed', 'snapshot.json does not name targets.json');
  }
  check('mix_and_match', 'targets.json is not the one that snapshot.json names', () => {
    meta.verify(Buffer.from(bytes));
  });
  const targets = parse('targets', bytes);
  checkSignatures(set.root, 'targets', targets);
  refuseOther('targets.json', targets.signed.version, meta.version, 'snapshot.json');
  return { ...set, targets };
}

/** Refuses what has expired at `nowMs` (5.3.10, 5.4.4, 5.5.6, 5.6.5): a freeze attack, or neglect. */
export function checkFresh(set: TrustedSet, role: keyof TrustedSet, nowMs: number): void {
  const { signed } = required(set[role], role);
  if (signed.isExpired(new Date(nowMs))) {
    const now = new Date(nowMs).toISOString();
    throw new NotTrusted('expired', `${role}.json expired at ${signed.expires}, and it is ${now}`);
  }
}

/** Reads metadata of one kind without believing it. */
export function parse<Kind extends keyof Kinds>(
  kind: Kind,
  bytes: Uint8Array,
): Metadata<Kinds[Kind]>;
export function parse(kind: keyof Kinds, bytes: Uint8Array): unknown {
  return check('malformed', `${kind}.json is not TUF metadata`, () => {
    const json: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (typeof json !== 'object' || json === null) throw new TypeError('it is not an object');
    const data = { ...json } as Parameters<typeof Metadata.fromJSON>[1];
    if (kind === 'root') return Metadata.fromJSON(MetadataKind.Root, data);
    if (kind === 'timestamp') return Metadata.fromJSON(MetadataKind.Timestamp, data);
    if (kind === 'snapshot') return Metadata.fromJSON(MetadataKind.Snapshot, data);
    return Metadata.fromJSON(MetadataKind.Targets, data);
  });
}

/**
 * Enough signatures by keys of the role. The library counts key ids; a key that stands in root under
 * two ids would count twice, so such a role is refused first.
 */
function checkSignatures(
  by: Metadata<Root>,
  role: keyof Kinds,
  metadata: Metadata<Kinds[keyof Kinds]>,
): void {
  const { keys, roles } = by.signed;
  const values = (roles[role]?.keyIDs ?? []).map((id) => keys[id]?.keyVal['public']);
  const known = values.filter((value) => value !== undefined);
  if (new Set(known).size !== known.length) {
    throw new NotTrusted('bad_signature', `root.json names one key of ${role} twice`);
  }
  check('bad_signature', `${role}.json is not signed by enough keys that root.json names`, () => {
    by.verifyDelegate(role, metadata);
  });
}

function refuseOlder(file: string, version: number, known: number): void {
  if (version >= known) return;
  throw new NotTrusted(
    'rollback',
    `${file} has version ${version}; version ${known} was seen here`,
  );
}

function refuseOther(file: string, version: number, named: number, by: string): void {
  if (version === named) return;
  throw new NotTrusted('mix_and_match', `${file} has version ${version}; ${by} names ${named}`);
}

function required<T>(metadata: T | undefined, role: string): T {
  if (metadata === undefined) throw new Error(`no trusted ${role} yet: wrong order of steps`);
  return metadata;
}

/** Runs a check of the library; what it throws becomes a refusal with our code. */
function check<T>(code: RefusalCode, message: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    throw new NotTrusted(code, `${message} (${messageOf(cause)})`, { cause });
  }
}
