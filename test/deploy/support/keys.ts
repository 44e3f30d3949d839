import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import type { SigningKey } from '../../../agent/deploy/key-file.ts';
import { keyIdOf } from '../../../agent/deploy/tuf/key-id.ts';

/** A signing key that was never in a file. */
export function newKey(): SigningKey {
  const { privateKey } = generateKeyPairSync('ed25519');
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  const publicHex = spki.subarray(-32).toString('hex');
  return {
    keyId: keyIdOf(publicHex),
    public: publicHex,
    sign: (bytes) => sign(null, bytes, privateKey),
  };
}
