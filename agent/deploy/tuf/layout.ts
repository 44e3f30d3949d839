import { dirname, join } from 'node:path';
import { posix } from 'node:path';

/** Where things are, relative to a repository's root; all names with consistent snapshots (TUF 6.2). */
export const METADATA = 'metadata';
export const TARGETS = 'targets';

/** Largest file of each kind that is read; TUF leaves them to the implementer (W, X, Y, Z). */
export const MAX_BYTES = {
  // A root of twenty keys has 5 kB. The library reads keys in quadratic time, before any signature counts.
  root: 65_536,
  timestamp: 16_384,
  snapshot: 2_000_000,
  targets: 8_000_000,
} as const;
/** New roots followed in one update (Y of the specification). */
export const MAX_ROOTS = 256;

/** Field of timestamp.json that says when it was signed: boards without a clock learn the time. */
export const SIGNED_AT = 'x-edgefit-signed-at';

/** Delegated role of those who may sign jobs and desired twins. */
export const DOCUMENT_ROLE = 'documents';
/** The paths it is named for; no target is ever put there. */
export const DOCUMENT_PATHS = ['documents/*'];

/** What the target paths of a package begin with, e.g. `models/kws/2.1.0/`. */
export function packagePrefix(model: string, version: string): string {
  return `${modelPrefix(model)}${version}/`;
}

/** The same for all versions of a model. */
export function modelPrefix(model: string): string {
  return `models/${model}/`;
}

/** What the paths of all archives of the agent begin with. */
export const AGENTS_PREFIX = 'agents/';

/** The archive of an agent, e.g. `agents/0.2.0/linux-arm64.tar.gz`. */
export function agentPath(version: string, platform: string): string {
  return `${AGENTS_PREFIX}${version}/${platform}.tar.gz`;
}

/** The name a target is stored under: its hash before the last part (5.7.1). */
export function storedName(path: string, sha256: string): string {
  return posix.join(posix.dirname(path), `${sha256}.${posix.basename(path)}`);
}

/** The address of a file of a repository; each part of the path is encoded. */
export function addressOf(base: string, ...parts: readonly string[]): string {
  const path = parts.join('/').split('/').map(encodeURIComponent).join('/');
  return `${base.replace(/\/+$/, '')}/${path}`;
}

export function metadataFile(repository: string, name: string): string {
  return join(repository, METADATA, name);
}

export function targetFile(repository: string, path: string, sha256: string): string {
  const stored = storedName(path, sha256);
  return join(repository, TARGETS, dirname(stored), posix.basename(stored));
}
