import { generateKeyPairSync, sign } from 'node:crypto';
import { parseBrokerUrl } from '../../../agent/fleet/broker-url.ts';
import { openChannel, type ClosableChannel } from '../../../agent/fleet/operator/channel.ts';
import type { Signer } from '../../../agent/fleet/protocol/signed.ts';
import { afterThisTest } from '../support/harness.ts';

/** A key of an operator, with what others need to check it. */
export function newSigner(): Signer & { readonly publicHex: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  return {
    keyId: 'a'.repeat(64),
    sign: (bytes) => sign(null, bytes, privateKey),
    publicHex: Buffer.from(spki.subarray(-32)).toString('hex'),
  };
}

/** An operator's way to a broker of a test. */
export async function channelTo(port: number, timeoutMs = 5000): Promise<ClosableChannel> {
  const { address } = parseBrokerUrl(`mqtt://127.0.0.1:${port}`);
  const channel = await openChannel({ broker: { address }, timeoutMs });
  afterThisTest(channel.close);
  return channel;
}
