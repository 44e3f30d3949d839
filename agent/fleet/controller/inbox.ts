import type { IPublishPacket } from 'mqtt';
import { rolloutCommandSchema, type RolloutCommand } from '../../contracts/rollout.ts';
import { codeOf, messageOf } from '../../util/errors.ts';
import { verifyDocument, type Keyring } from '../protocol/signed.ts';
import { parseTopic } from '../protocol/topics.ts';

/** Where a command came, which is all that is known before it is verified. */
export interface Addressed {
  readonly rolloutId: string;
  readonly requestId: string;
}

export type Received =
  | { readonly command: RolloutCommand }
  | { readonly error: { readonly code: string; readonly text: string } };

/** What a topic of commands says; null for any other topic. */
export function addressOf(topic: string): Addressed | null {
  const parsed = parseTopic(topic);
  if (parsed?.kind !== 'rolloutCommand') return null;
  const { rollout: rolloutId = '', request: requestId = '' } = parsed.ids;
  return { rolloutId, requestId };
}

/** A verified command, or why it is none. Never throws. */
export function receive(
  packet: Pick<IPublishPacket, 'payload' | 'retain'>,
  { rolloutId, requestId }: Addressed,
  keyring: Keyring,
  nowMs: number,
): Received {
  // It would be asked again of every controller that starts.
  if (packet.retain) return failure('retained', 'commands must not be retained');
  if (keyring.keys.size === 0) {
    return failure(
      'unsigned',
      'the controller cannot read or believe the repository now: try again',
    );
  }
  const options = { type: 'rollout' as const, deviceId: rolloutId, keyring, nowMs, minCounter: 0 };
  try {
    const { signed } = verifyDocument(Buffer.from(packet.payload), options);
    const parsed = rolloutCommandSchema.safeParse(signed);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      return failure('bad_field', `${issue?.path.map(String).join('.')}: ${issue?.message}`);
    }
    if (parsed.data.requestId !== requestId) {
      return failure('bad_field', `requestId: it is signed for request ${parsed.data.requestId}`);
    }
    return { command: parsed.data };
  } catch (error) {
    return failure(codeOf(error) ?? 'unexpected', messageOf(error));
  }
}

function failure(code: string, text: string): Received {
  return { error: { code, text } };
}
