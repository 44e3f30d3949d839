import type { RefusalCode } from '../../contracts/fleet-request.ts';
import type { SignedType } from '../../contracts/signed.ts';
import type { Expiries } from '../../deploy/tuf/trusted-targets.ts';
import { codeOf, messageOf } from '../../util/errors.ts';
import { refuse, type Refusal } from '../device/refusals.ts';
import { isSigned, type UnverifiedDocument } from '../device/incoming.ts';
import { verifyDocument, type Keyring, type VerifiedDocument } from '../protocol/signed.ts';
import type { Counters } from './counters.ts';
import type { TrustedMetadata } from './metadata.ts';

export interface DocumentTrustOptions {
  readonly deviceId: string;
  readonly metadata: TrustedMetadata;
  /** Address of the repository; null when none is configured. */
  readonly repository: string | null;
  readonly counters: Counters;
  readonly nowMs: () => Promise<number>;
  readonly warn: (message: string) => void;
}

const NOBODY: Keyring = { keys: new Map(), threshold: 1 };
const REFRESH_LIMIT_MS = 30_000;
/** Documents by unknown keys cost a refresh at most this often. */
const UNKNOWN_KEY_MS = 60_000;
/**
 * Jobs are retained and come in any order after a time away, so a counter may be this far below the
 * highest that was taken; what was taken is in the journal, and is not taken again. Counters up to that
 * of a job which the journal has forgotten are refused too, however few the others have moved on.
 */
export const COUNTER_WINDOW = 64;

/**
 * Who may tell this device what to do: the keys that the trusted metadata names. It is read and judged
 * anew for every document, so that metadata which expires while the device is offline stops counting.
 */
export class DocumentTrust {
  readonly #options: DocumentTrustOptions;
  #keyIds: readonly string[] = [];
  #expiries: Expiries | null = null;
  #refreshing: Promise<boolean> | null = null;
  #lastForUnknownMs = Number.NEGATIVE_INFINITY;

  constructor(options: DocumentTrustOptions) {
    this.#options = options;
  }

  /** Ids of the keys whose signatures counted when last looked at. */
  keyIds(): readonly string[] {
    return this.#keyIds;
  }

  /** When the trusted metadata expires, as last looked at; null when there is none. */
  expiries(): Expiries | null {
    return this.#expiries;
  }

  /** Reads what is on the disk. */
  async load(): Promise<void> {
    await this.#keyring();
  }

  /** Whether the metadata is up to date now; two at the same time are one. Never rejects. */
  async refresh(): Promise<boolean> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  /** Never throws; a document by an unknown key leads to a look at the repository first. */
  async verify(
    document: UnverifiedDocument,
    type: SignedType,
  ): Promise<VerifiedDocument | Refusal> {
    if (!isSigned(document)) return refuse('UNSIGNED', 'it carries no signature');
    const first = await this.#check(document, type);
    if (!('refused' in first) || !['UNSIGNED', 'UNVERIFIED'].includes(first.refused)) return first;
    if (!this.#mayRefreshFor(document)) {
      // A refresh may have ended since it was looked at.
      const isStale = first.refused === 'UNVERIFIED' && this.#keyIds.length > 0;
      return isStale ? this.#check(document, type) : first;
    }
    return (await this.refresh()) ? this.#check(document, type) : first;
  }

  async #check(
    document: UnverifiedDocument,
    type: SignedType,
  ): Promise<VerifiedDocument | Refusal> {
    const { deviceId, counters, nowMs } = this.#options;
    const keyring = await this.#keyring();
    const highest = counters.document(type);
    const lowest = Math.max(highest - COUNTER_WINDOW + 1, counters.lowestJob());
    const minCounter = type === 'job' ? lowest : highest;
    try {
      const payload = Buffer.from(JSON.stringify(document));
      const options = { type, deviceId, keyring, nowMs: await nowMs(), minCounter };
      return verifyDocument(payload, options);
    } catch (error) {
      const code = CODES.get(codeOf(error) ?? '') ?? 'UNVERIFIED';
      const isBlind = code === 'UNSIGNED' && keyring.keys.size === 0;
      if (isBlind) return refuse('UNVERIFIED', 'this device knows no keys that may sign documents');
      const refusal = refuse(code, messageOf(error));
      return code === 'REPLAYED' ? { ...refusal, lowestCounter: minCounter } : refusal;
    }
  }

  async #keyring(): Promise<Keyring> {
    try {
      const trusted = await this.#options.metadata.offline();
      const keyring = trusted.documentKeys();
      this.#expiries = trusted.expiries();
      this.#keyIds = [...keyring.keys.keys()];
      return keyring;
    } catch {
      // Nothing trusted, or not any more: the next refresh says why.
      this.#keyIds = [];
      return NOBODY;
    }
  }

  #mayRefreshFor(document: UnverifiedDocument): boolean {
    if (this.#refreshing !== null) return true;
    if (this.#keyIds.length > 0 && !hasStranger(document, this.#keyIds)) return false;
    const now = performance.now();
    if (now - this.#lastForUnknownMs < UNKNOWN_KEY_MS) return false;
    this.#lastForUnknownMs = now;
    return true;
  }

  /** With every refresh, once a day or so. */
  async #warnOfAge(): Promise<void> {
    if (this.#expiries === null) return;
    const { nowMs, warn } = this.#options;
    const { agingOf } = await import('../../deploy/tuf/trusted-targets.ts');
    for (const line of agingOf(this.#expiries, await nowMs())) warn(line);
  }

  async #refresh(): Promise<boolean> {
    const { metadata, repository: url, warn } = this.#options;
    if (url === null) return false;
    try {
      await metadata.refresh(url, AbortSignal.timeout(REFRESH_LIMIT_MS));
      await this.#keyring();
      await this.#warnOfAge();
      return true;
    } catch (error) {
      warn(`the metadata of ${url} cannot be brought up to date: ${messageOf(error)}`);
      return false;
    }
  }
}

const CODES: ReadonlyMap<string, RefusalCode> = new Map([
  ['oversized', 'TOO_LARGE'],
  ['malformed', 'BAD_FIELD'],
  ['unknown_version', 'UNKNOWN_SCHEMA'],
  ['wrong_type', 'WRONG_TYPE'],
  ['foreign_device', 'FOREIGN_DEVICE'],
  ['unsigned', 'UNSIGNED'],
  ['expired', 'EXPIRED'],
  ['replayed', 'REPLAYED'],
]);

/** Whether somebody signed whom this device does not know. */
function hasStranger({ signatures }: UnverifiedDocument, known: readonly string[]): boolean {
  if (!Array.isArray(signatures)) return false;
  return signatures.some((one: unknown) => {
    const id = typeof one === 'object' && one !== null && 'keyId' in one ? one.keyId : null;
    return typeof id === 'string' && !known.includes(id);
  });
}
