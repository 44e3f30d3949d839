import { scrypt } from 'node:crypto';
import { promisify } from 'node:util';

/**
 * scrypt (RFC 7914) off the event loop: password, salt, length in bytes, and the cost; `maxmem` in bytes
 * must be above 128 N r.
 */
export const deriveKey = promisify<
  string,
  Uint8Array,
  number,
  { N: number; r: number; p: number; maxmem: number },
  Buffer
>(scrypt);
