import { createHash } from 'node:crypto';

/**
 * TUF's key id: SHA-256 of the canonical JSON of the key object. Written out: this object has one
 * canonical form, and a device knows key ids without loading TUF.
 */
export function keyIdOf(publicHex: string): string {
  const canonical = `{"keytype":"ed25519","keyval":{"public":"${publicHex}"},"scheme":"ed25519"}`;
  return createHash('sha256').update(canonical).digest('hex');
}
