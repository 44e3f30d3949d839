import { createHash, createPublicKey, verify, type KeyObject } from 'node:crypto';
import {
  signedDocumentSchema,
  type DocumentSignature,
  type SignedDocument,
  type SignedPart,
  type SignedType,
} from '../../contracts/signed.ts';
import { AgentError, messageOf } from '../../util/errors.ts';
import { canonicalJson } from './canonical.ts';

/** Largest document that is read at all; AWS IoT's limit, so any broker carries it. */
export const MAX_DOCUMENT_BYTES = 128 * 1024;

export type RefusalCode =
  | 'oversized'
  | 'malformed'
  | 'unknown_version'
  | 'wrong_type'
  | 'foreign_device'
  | 'unsigned'
  | 'expired'
  | 'replayed';

/** Why a document is not acted upon. The code goes back to the sender. */
export class RefusedDocument extends AgentError {
  override readonly name = 'RefusedDocument';

  constructor(code: RefusalCode, message: string, options: { readonly cause?: unknown } = {}) {
    super(code, message, { ...options, kind: 'input' });
  }
}

/** Whoever can sign: a key file that has been opened, or a hardware token. */
export interface Signer {
  readonly keyId: string;
  /** ed25519 signature (64 bytes) of the bytes. */
  readonly sign: (bytes: Uint8Array) => Uint8Array;
}

/** The keys a device trusts for documents, and how many different ones have to sign. */
export interface Keyring {
  /** Key id to ed25519 public key, 32 bytes in hexadecimal. */
  readonly keys: ReadonlyMap<string, string>;
  readonly threshold: number;
}

export interface VerifyOptions {
  readonly type: SignedType;
  readonly deviceId: string;
  readonly keyring: Keyring;
  /** Time to judge `expires` by, milliseconds since 1970. */
  readonly nowMs: number;
  /** Lowest counter that is still accepted; 0 accepts all. */
  readonly minCounter: number;
}

export interface VerifiedDocument {
  readonly signed: SignedPart;
  /** SHA-256 of the canonical signed part, hexadecimal: tells duplicates from reused ids. */
  readonly digest: string;
  readonly keyIds: readonly string[];
}

/** A document with one signature of each signer over its canonical signed part. */
export function signDocument(signed: SignedPart, signers: readonly Signer[]): SignedDocument {
  const bytes = Buffer.from(canonicalJson(signed));
  const signatures: DocumentSignature[] = signers.map(({ keyId, sign }) => ({
    keyId,
    sig: Buffer.from(sign(bytes)).toString('hex'),
  }));
  return { schema: 'edgefit/signed/1', signed, signatures };
}

/**
 * Reads and checks a document before anything in it is believed: size, form, kind, device,
 * signatures, expiry, counter, in this order. Throws RefusedDocument.
 */
export function verifyDocument(payload: Uint8Array, options: VerifyOptions): VerifiedDocument {
  const { raw, document } = parseDocument(payload);
  const { signed } = document;
  if (signed.type !== options.type) {
    throw new RefusedDocument(
      'wrong_type',
      `a ${signed.type} came where a ${options.type} belongs`,
    );
  }
  if (signed.deviceId !== options.deviceId) {
    throw new RefusedDocument('foreign_device', `it is for device ${signed.deviceId}`);
  }
  const bytes = canonicalBytes(raw);
  const keyIds = goodSigners(bytes, document.signatures, options.keyring);
  checkTime(signed, options.nowMs);
  if (signed.counter < options.minCounter) {
    throw new RefusedDocument(
      'replayed',
      `its counter ${signed.counter} is below ${options.minCounter}, which this device has seen`,
    );
  }
  return { signed, digest: createHash('sha256').update(bytes).digest('hex'), keyIds };
}

/** The bytes that were signed, if there is one way to write them. */
function canonicalBytes(raw: unknown): Buffer {
  try {
    return Buffer.from(canonicalJson(raw));
  } catch (cause) {
    throw new RefusedDocument('malformed', `signed: ${messageOf(cause)}`, { cause });
  }
}

/** The document, and its signed part exactly as it came: a schema may drop what it does not know. */
function parseDocument(payload: Uint8Array): { raw: unknown; document: SignedDocument } {
  if (payload.length > MAX_DOCUMENT_BYTES) {
    throw new RefusedDocument(
      'oversized',
      `${payload.length} bytes; at most ${MAX_DOCUMENT_BYTES} are read`,
    );
  }
  const json = parseJson(payload);
  const schema = memberOf(json, 'schema');
  if (schema === undefined) throw new RefusedDocument('unsigned', 'it carries no signature');
  if (schema !== 'edgefit/signed/1') {
    throw new RefusedDocument('unknown_version', `schema ${JSON.stringify(schema)} is not known`);
  }
  const parsed = signedDocumentSchema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path.join('.') ?? '';
    throw new RefusedDocument('malformed', `${where}: ${issue?.message ?? 'not as expected'}`);
  }
  return { raw: memberOf(json, 'signed'), document: parsed.data };
}

function parseJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch (cause) {
    throw new RefusedDocument('malformed', 'it is not JSON in UTF-8', { cause });
  }
}

function memberOf(json: unknown, name: string): unknown {
  if (typeof json !== 'object' || json === null) return undefined;
  return Object.getOwnPropertyDescriptor(json, name)?.value;
}

/** Ids of the trusted keys that signed. Counts keys, not ids: one key under two ids is one signer. */
function goodSigners(
  bytes: Uint8Array,
  signatures: readonly DocumentSignature[],
  { keys, threshold }: Keyring,
): string[] {
  const good = new Map<string, string>();
  for (const { keyId, sig } of signatures) {
    const publicKey = keys.get(keyId);
    if (publicKey === undefined) continue;
    if (verify(null, bytes, publicKeyOf(publicKey), Buffer.from(sig, 'hex'))) {
      good.set(publicKey, keyId);
    }
  }
  // A threshold below one would accept anything.
  if (good.size < Math.max(1, threshold)) {
    throw new RefusedDocument(
      'unsigned',
      `${good.size} of ${Math.max(1, threshold)} signatures by keys that this device trusts`,
    );
  }
  return [...good.values()];
}

/** SubjectPublicKeyInfo of ed25519 (RFC 8410) up to the 32 bytes of the key. */
const SPKI_PREFIX = '302a300506032b6570032100';

/** The key object of an ed25519 public key, 32 bytes in hexadecimal. */
export function publicKeyOf(hex: string): KeyObject {
  return createPublicKey({
    key: Buffer.from(`${SPKI_PREFIX}${hex}`, 'hex'),
    format: 'der',
    type: 'spki',
  });
}

function checkTime({ expires }: SignedPart, nowMs: number): void {
  if (Date.parse(expires) <= nowMs) {
    throw new RefusedDocument('expired', `it expired at ${expires}`);
  }
}
