import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { releaseOf } from './release.ts';
import type { ReleaseAsked } from './release.ts';
import { refresh, trustedOffline } from '../../deploy/tuf/refresh.ts';
import type { TrustedTargets } from '../../deploy/tuf/trusted-targets.ts';
import { codeOf, messageOf } from '../../util/errors.ts';
import { fileError, writeFileDurably } from '../../util/files.ts';
import type { Keyring } from '../protocol/signed.ts';

export interface TrustOptions {
  /** Address of the repository. */
  readonly url: string;
  /** Folder of trusted metadata. */
  readonly folder: string;
  /** The first root, for a folder that has none yet. */
  readonly rootFile: string | undefined;
  readonly warn: (message: string) => void;
}

/** A look at the repository costs at most one in this time. */
const FRESH_MS = 10_000;
const LIMIT_MS = 20_000;
/** A command is judged by what was believed last when the repository takes longer. */
const PATIENCE_MS = 3000;
const NOBODY: Keyring = { keys: new Map(), threshold: 1 };

/** Whom the controller believes and which releases there are: the repository, verified. */
export class ControllerTrust {
  readonly #options: TrustOptions;
  #lastMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<TrustedTargets | null> | null = null;

  private constructor(options: TrustOptions) {
    this.#options = options;
  }

  /** Throws FileError where no root can be found. */
  static async open(options: TrustOptions): Promise<ControllerTrust> {
    const { folder, rootFile } = options;
    await mkdir(folder, { recursive: true });
    const kept = join(folder, 'root.json');
    const isThere = await readFile(kept).then(
      () => true,
      (error: unknown) => {
        if (codeOf(error) === 'ENOENT') return false;
        throw fileError('read', kept, error);
      },
    );
    if (!isThere) {
      const path = rootFile ?? kept;
      const root = await readFile(path).catch((error: unknown) => {
        throw fileError('read', path, error);
      });
      await writeFileDurably(kept, root);
    }
    return new ControllerTrust(options);
  }

  /** Who may sign documents now; nobody when the repository cannot be believed. */
  async keyring(): Promise<Keyring> {
    const newest = this.#newest();
    const early = await Promise.race([newest, sleep(PATIENCE_MS, 'slow' as const, { ref: false })]);
    // A repository that hangs must not hold up who wants to stop a rollout.
    const trusted = early === 'slow' ? ((await this.#offline()) ?? (await newest)) : early;
    return trusted?.documentKeys() ?? NOBODY;
  }

  /**
   * A release as the repository has it; one that is not known is looked for anew, since it may have
   * been published a moment ago. Throws RolloutError `unknown_model`.
   */
  async release(asked: ReleaseAsked): Promise<Required<ReleaseAsked>> {
    try {
      return releaseOf(await this.#newest(), asked);
    } catch {
      return releaseOf(await this.#newest(0), asked);
    }
  }

  /** Metadata that is at most so old, else what was believed last. */
  async #newest(maxAgeMs = FRESH_MS): Promise<TrustedTargets | null> {
    const isFresh = performance.now() - this.#lastMs < maxAgeMs;
    this.#looking ??= (isFresh ? this.#offline() : this.#refresh()).finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async #refresh(): Promise<TrustedTargets | null> {
    const { folder, url, warn } = this.#options;
    try {
      const signal = AbortSignal.timeout(LIMIT_MS);
      const trusted = await refresh({ folder, url, nowMs: Date.now(), signal });
      this.#lastMs = performance.now();
      return trusted;
    } catch (error) {
      warn(`the metadata of ${url} cannot be brought up to date: ${messageOf(error)}`);
      return this.#offline();
    }
  }

  async #offline(): Promise<TrustedTargets | null> {
    return trustedOffline(this.#options.folder, Date.now()).catch(() => null);
  }
}
