import type { TrustedTargets } from '../../deploy/tuf/trusted-targets.ts';
import { Lane } from '../../util/lane.ts';

export interface MetadataOptions {
  /** Folder of the trusted metadata. */
  readonly folder: string;
  readonly nowMs: () => Promise<number>;
  /** Called with what a refresh has verified. */
  readonly onTrusted: (trusted: TrustedTargets) => Promise<void>;
}

/**
 * The trusted metadata of this device. One look at a time: a refresh replaces one file after the other,
 * and whoever reads in between would see two versions mixed.
 */
export class TrustedMetadata {
  readonly #options: MetadataOptions;
  readonly #lane = new Lane();

  constructor(options: MetadataOptions) {
    this.#options = options;
  }

  /** Brings it up to date. Throws NotTrusted. */
  async refresh(url: string, signal: AbortSignal): Promise<TrustedTargets> {
    const { folder, nowMs, onTrusted } = this.#options;
    // Loaded when first needed: a daemon without jobs does without.
    const { refresh } = await import('../../deploy/tuf/refresh.ts');
    const trusted = await this.#alone(async () => {
      return refresh({ folder, url, nowMs: await nowMs(), signal });
    });
    await onTrusted(trusted);
    return trusted;
  }

  /** What the last refresh left. Throws NotTrusted, also when that has expired or was cut short. */
  async offline(): Promise<TrustedTargets> {
    const { folder, nowMs } = this.#options;
    const { trustedOffline } = await import('../../deploy/tuf/refresh.ts');
    return this.#alone(async () => trustedOffline(folder, await nowMs()));
  }

  async #alone<T>(look: () => Promise<T>): Promise<T> {
    const leave = await this.#lane.enter();
    try {
      return await look();
    } finally {
      leave();
    }
  }
}
