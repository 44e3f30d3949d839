import { Key } from '@tufjs/models';
import { keyIdOf } from './key-id.ts';

/** The public key as TUF writes it (specification 4.2.1, key type ed25519). */
export function tufKey(publicHex: string): Key {
  return new Key({
    keyID: keyIdOf(publicHex),
    keyType: 'ed25519',
    scheme: 'ed25519',
    keyVal: { public: publicHex },
  });
}
