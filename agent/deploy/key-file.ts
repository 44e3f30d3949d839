import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  type KeyObject,
} from 'node:crypto';
import { keyFileSchema, type KeyFile } from '../contracts/key.ts';
import { deriveKey } from '../util/scrypt.ts';
import { TrustError } from './errors.ts';
import { keyIdOf } from './tuf/key-id.ts';

/** OWASP's lower bound for interactive use; 128 MB and about half a second on a laptop. */
const SCRYPT = { n: 131_072, r: 8, p: 1 } as const;
const KEY_BYTES = 32;
const TAG_BYTES = 16;
/** PKCS#8 of ed25519 (RFC 8410) up to the 32 bytes of the seed. */
const PKCS8_PREFIX = '302e020100300506032b657004220420';

/** A private key in memory, ready to sign; fits `Signer` of fleet/protocol. */
export interface SigningKey {
  readonly keyId: string;
  /** ed25519 public key, 32 bytes in hexadecimal. */
  readonly public: string;
  readonly sign: (bytes: Uint8Array) => Uint8Array;
}

/** A new ed25519 key as a key file, its private half encrypted with the passphrase. */
export async function makeKeyFile(passphrase: string, comment?: string): Promise<KeyFile> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const seed = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-KEY_BYTES);
  const publicHex = publicHexOf(privateKey);
  const kdf = { name: 'scrypt' as const, ...SCRYPT, salt: randomBytes(16).toString('hex') };
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', await keyFrom(passphrase, kdf), nonce);
  cipher.setAAD(Buffer.from(publicHex, 'hex'));
  const data = Buffer.concat([cipher.update(seed), cipher.final(), cipher.getAuthTag()]);
  return {
    schema: 'edgefit/key/1',
    keyId: keyIdOf(publicHex),
    public: publicHex,
    ...(comment === undefined ? {} : { comment }),
    private: {
      kdf,
      cipher: 'aes-256-gcm',
      nonce: nonce.toString('hex'),
      data: data.toString('hex'),
    },
  };
}

/** The same key without its private half, to hand to whoever is to trust it. */
export function publicPart(file: KeyFile): KeyFile {
  return { ...file, private: undefined };
}

/** Reads a key file's text. Throws TrustError (BAD_KEY_FILE), naming `path`. */
export function parseKeyFile(text: string, path: string): KeyFile {
  const parsed = keyFileSchema.safeParse(parseJson(text, path));
  if (!parsed.success) {
    const field = parsed.error.issues[0]?.path.join('.') ?? '';
    throw new TrustError('BAD_KEY_FILE', `${path} is not a key file: look at ${field || 'it'}`);
  }
  if (keyIdOf(parsed.data.public) !== parsed.data.keyId) {
    throw new TrustError('BAD_KEY_FILE', `${path}: its keyId does not belong to its public key`);
  }
  return parsed.data;
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TrustError('BAD_KEY_FILE', `${path} is not a key file: it is not JSON`, { cause });
  }
}

/** Decrypts the private half. Throws TrustError (BAD_PASSPHRASE, BAD_KEY_FILE). */
export async function openKey(
  file: KeyFile,
  passphrase: string,
  path: string,
): Promise<SigningKey> {
  if (file.private === undefined) {
    throw new TrustError('BAD_KEY_FILE', `${path} holds a public key only: it cannot sign`);
  }
  const seed = await decrypt(file, file.private, passphrase, path);
  const key = createPrivateKey({
    key: Buffer.concat([Buffer.from(PKCS8_PREFIX, 'hex'), seed]),
    format: 'der',
    type: 'pkcs8',
  });
  if (publicHexOf(key) !== file.public) {
    throw new TrustError('BAD_KEY_FILE', `${path}: its two halves do not belong together`);
  }
  return { keyId: file.keyId, public: file.public, sign: (bytes) => sign(null, bytes, key) };
}

async function decrypt(
  file: KeyFile,
  { kdf, nonce, data }: NonNullable<KeyFile['private']>,
  passphrase: string,
  path: string,
): Promise<Buffer> {
  const bytes = Buffer.from(data, 'hex');
  const key = await keyFrom(passphrase, kdf);
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(nonce, 'hex'));
  decipher.setAAD(Buffer.from(file.public, 'hex'));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()]);
  } catch (cause) {
    const message = `the passphrase does not open ${path}, or the file was changed`;
    throw new TrustError('BAD_PASSPHRASE', message, { cause });
  }
}

type Kdf = NonNullable<KeyFile['private']>['kdf'];

function keyFrom(passphrase: string, { n, r, p, salt }: Kdf): Promise<Buffer> {
  const maxmem = 256 * n * r;
  // NFC: the same words typed on another keyboard give the same key.
  const words = passphrase.normalize('NFC');
  return deriveKey(words, Buffer.from(salt, 'hex'), KEY_BYTES, { N: n, r, p, maxmem });
}

function publicHexOf(key: KeyObject): string {
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return spki.subarray(-KEY_BYTES).toString('hex');
}
