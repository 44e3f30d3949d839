import { randomBytes, timingSafeEqual } from 'node:crypto';
import { deriveKey } from '../../../util/scrypt.ts';
import { ApiFailure } from '../error.ts';

/**
 * Passwords as scrypt hashes (RFC 7914), written as `$scrypt$ln=15,r=8,p=3$SALT$HASH` (PHC string
 * format, base64 without padding). Parameters: OWASP's choice for 32 MiB of memory.
 */
const PARAMETERS = { logN: 15, r: 8, p: 3 } as const;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** A users file must not make the server use gigabytes or minutes. */
const LIMITS = { logN: 17, r: 16, p: 8 } as const;
const PATTERN =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{16,86})\$([A-Za-z0-9+/]{43})$/;

/**
 * At most so many at once, 32 MiB each, and so many more that wait: a flood of logins must not take
 * the memory, nor all of libuv's threads (four), which files and the history need too.
 */
const AT_ONCE = 2;
const MAX_WAITING = 16;

interface Parsed {
  readonly logN: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Buffer;
  readonly hash: Buffer;
}

/** The parts of a stored hash, or null for what is none. */
function parse(stored: string): Parsed | null {
  const found = PATTERN.exec(stored);
  if (found === null) return null;
  const [, ln, r, p, salt = '', hash = ''] = found;
  const numbers = { logN: Number(ln), r: Number(r), p: Number(p) };
  const sane =
    numbers.logN >= 10 &&
    numbers.logN <= LIMITS.logN &&
    numbers.r >= 1 &&
    numbers.r <= LIMITS.r &&
    numbers.p >= 1 &&
    numbers.p <= LIMITS.p;
  if (!sane) return null;
  return { ...numbers, salt: Buffer.from(salt, 'base64'), hash: Buffer.from(hash, 'base64') };
}

/** Whether a text is a hash that `verify` can use. */
export function isPasswordHash(stored: string): boolean {
  return parse(stored) !== null;
}

const unpadded = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '');

function deriveWith(password: string, { logN, r, p, salt }: Omit<Parsed, 'hash'>): Promise<Buffer> {
  const cost = 2 ** logN;
  // NFC: the same words typed on another keyboard give the same hash.
  return deriveKey(password.normalize('NFC'), salt, HASH_BYTES, {
    N: cost,
    r,
    p,
    maxmem: 256 * cost * r,
  });
}

/** A new hash with a salt of its own. Takes about 0.1 s. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await deriveWith(password, { ...PARAMETERS, salt });
  const { logN, r, p } = PARAMETERS;
  return `$scrypt$ln=${logN},r=${r},p=${p}$${unpadded(salt)}$${unpadded(hash)}`;
}

/** Checks passwords, a few at a time. */
export class PasswordChecker {
  #running = 0;
  readonly #waiting: (() => void)[] = [];
  #decoy: Promise<string> | undefined;

  /**
   * Whether the password belongs to the hash. Null (nobody of that name) takes as long and is false.
   * Throws ApiFailure `busy` when too many are being checked.
   */
  async verify(password: string, stored: string | null): Promise<boolean> {
    await this.#enter();
    try {
      this.#decoy ??= hashPassword(randomBytes(16).toString('hex'));
      const parsed = parse(stored ?? (await this.#decoy));
      if (parsed === null) return false;
      const same = timingSafeEqual(await deriveWith(password, parsed), parsed.hash);
      return same && stored !== null;
    } finally {
      this.#leave();
    }
  }

  async #enter(): Promise<void> {
    if (this.#running >= AT_ONCE) {
      if (this.#waiting.length >= MAX_WAITING) {
        throw new ApiFailure('busy', 'too many logins at once: try again in a moment');
      }
      // Whoever leaves hands its place on.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
      return;
    }
    this.#running += 1;
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running -= 1;
    else next();
  }
}
