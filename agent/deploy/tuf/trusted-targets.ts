import type { Metadata, TargetFile, Timestamp } from '@tufjs/models';
import { z } from 'zod';
import { DOCUMENT_ROLE, packagePrefix, SIGNED_AT, storedName } from './layout.ts';
import { NotTrusted } from './refused.ts';
import type { TrustedSet } from './trusted-set.ts';

/** What is signed beside each file of a package. */
const customSchema = z.looseObject({
  /** Grows with every release of a model: an older release is not installed again. */
  releaseCounter: z.number().int().nonnegative().optional(),
});

/** A file that may be downloaded, and exactly what it is. */
export interface TrustedTarget {
  readonly path: string;
  readonly bytes: number;
  /** SHA-256, hexadecimal. */
  readonly sha256: string;
  /** Its place below `targets/` of the repository. */
  readonly stored: string;
  readonly releaseCounter: number | null;
}

/** RFC 3339. */
export interface Expiries {
  readonly root: string;
  readonly targets: string;
}

/** Days before, when it is time to sign anew: somebody has to come with a key that is kept offline. */
const WARN_DAYS = { root: 45, targets: 30 } as const;
const DAY_MS = 86_400_000;
const RENEW = {
  root: "renew it with 'agent model sign --rotate root=...'; the same keys will do",
  targets: "the next release renews it, or 'agent model sign --operator ...'",
} as const;

/** What is to be signed anew soon, one line each. Afterwards devices refuse everything. */
export function agingOf(expiries: Expiries, nowMs: number): readonly string[] {
  return (['root', 'targets'] as const).flatMap((role) => {
    const days = (Date.parse(expiries[role]) - nowMs) / DAY_MS;
    if (days > WARN_DAYS[role]) return [];
    const when = days <= 0 ? 'has expired' : `expires in ${Math.ceil(days)} days`;
    return [`${role}.json ${when} (${expiries[role]}): ${RENEW[role]}`];
  });
}

/** The release that a file belongs to; null for a file of no package. */
export function releaseCounterOf(file: TargetFile): number | null {
  const custom = customSchema.safeParse(file.custom);
  return custom.success ? (custom.data.releaseCounter ?? null) : null;
}

/** When a timestamp was signed, milliseconds since 1970; 0 when it does not say. */
export function signedAtMs(timestamp: Metadata<Timestamp>): number {
  const at = timestamp.signed.unrecognizedFields[SIGNED_AT];
  const ms = typeof at === 'string' ? Date.parse(at) : Number.NaN;
  return Number.isFinite(ms) ? ms : 0;
}

/** Verified targets of a repository: the only way to what may be downloaded and whom to believe. */
export class TrustedTargets {
  readonly #set: TrustedSet;

  constructor(set: TrustedSet) {
    this.#set = set;
  }

  get rootVersion(): number {
    return this.#set.root.signed.version;
  }

  get targetsVersion(): number {
    return this.#set.targets?.signed.version ?? 0;
  }

  /** When the timestamp was signed, milliseconds since 1970; 0 when it does not say. */
  get signedMs(): number {
    return this.#set.timestamp === undefined ? 0 : signedAtMs(this.#set.timestamp);
  }

  /** When the metadata that people sign by hand expires. */
  expiries(): Expiries {
    const { root, targets } = this.#set;
    return { root: root.signed.expires, targets: targets?.signed.expires ?? root.signed.expires };
  }

  /** A file by its target path. Throws NotTrusted (`missing`, `malformed`). */
  target(path: string): TrustedTarget {
    const all = this.#set.targets?.signed.targets ?? {};
    const file = Object.hasOwn(all, path) ? all[path] : undefined;
    if (file === undefined) {
      throw new NotTrusted('missing', `${path} is not among the signed files of the repository`);
    }
    const sha256 = file.hashes['sha256'];
    if (sha256 === undefined || !/^[0-9a-f]{64}$/.test(sha256)) {
      throw new NotTrusted('malformed', `targets.json gives no sha256 of ${path}`);
    }
    const releaseCounter = releaseCounterOf(file);
    return { path, bytes: file.length, sha256, stored: this.#stored(path, sha256), releaseCounter };
  }

  /** Every signed file. */
  all(): readonly TrustedTarget[] {
    return Object.keys(this.#set.targets?.signed.targets ?? {}).map((path) => this.target(path));
  }

  /** All files of a package, by their path inside it. */
  packageFiles(model: string, version: string): ReadonlyMap<string, TrustedTarget> {
    const prefix = packagePrefix(model, version);
    const paths = Object.keys(this.#set.targets?.signed.targets ?? {});
    return new Map(
      paths
        .filter((path) => path.startsWith(prefix))
        .map((path) => [path.slice(prefix.length), this.target(path)]),
    );
  }

  /** Who may sign jobs and desired twins, and how many of them have to. Empty: nobody may. */
  documentKeys(): { readonly keys: ReadonlyMap<string, string>; readonly threshold: number } {
    const delegations = this.#set.targets?.signed.delegations;
    const role = delegations?.roles?.[DOCUMENT_ROLE];
    const ids = role?.keyIDs ?? [];
    const keys = new Map<string, string>();
    for (const id of ids) {
      const key = delegations?.keys[id];
      const value = key?.keyVal['public'];
      if (key?.keyType === 'ed25519' && /^[0-9a-f]{64}$/.test(value ?? ''))
        keys.set(id, value ?? '');
    }
    return { keys, threshold: role?.threshold ?? 1 };
  }

  #stored(path: string, sha256: string): string {
    return this.#set.root.signed.consistentSnapshot ? storedName(path, sha256) : path;
  }
}
