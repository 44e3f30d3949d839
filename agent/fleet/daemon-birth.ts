import { EventEmitter, once } from 'node:events';
import { z } from 'zod';
import { connectBroker } from './broker-connection.ts';
import type { BrokerSettings, ConnectOptions } from './broker-link.ts';

/** A retained message follows the acknowledgement of its subscription at once. */
const RETAINED_WAIT_MS = 500;

/** A one-shot command leaves `session` null; the daemon numbers it. */
const daemonBirthSchema = z.looseObject({
  schema: z.literal('edgefit/birth/1'),
  session: z.int().positive(),
});

function isDaemons(payload: string): boolean {
  try {
    return daemonBirthSchema.safeParse(JSON.parse(payload)).success;
  } catch {
    // Whatever somebody has left there, it is not a birth.
    return false;
  }
}

/**
 * Whether the broker keeps a birth that the daemon of this device has published: it says more than
 * a command can, and must not be replaced. On a connection of its own, because some brokers end one
 * that asks for what its ACL forbids; then, and whenever nothing comes, the answer is no. Throws
 * what connecting throws.
 */
export async function hasDaemonBirth(
  broker: BrokerSettings,
  connect: Omit<ConnectOptions, 'session' | 'onMessage'>,
  topic: string,
): Promise<boolean> {
  const arrival = new EventEmitter();
  // It may have come before anybody waits: in one piece with the acknowledgement.
  const heard: { isDaemons?: boolean } = {};
  const connection = await connectBroker(broker, {
    ...connect,
    onMessage: ({ payload }) => {
      heard.isDaemons = isDaemons(String(payload));
      arrival.emit('birth');
    },
  });
  try {
    const [granted] = await connection.subscribe([topic]);
    if (granted !== true) return false;
    const signal = AbortSignal.timeout(RETAINED_WAIT_MS);
    if (heard.isDaemons === undefined) await once(arrival, 'birth', { signal });
    return heard.isDaemons === true;
  } catch {
    // Nothing came in time; or the report itself will tell what is wrong with the connection.
    return false;
  } finally {
    await connection.close();
  }
}
