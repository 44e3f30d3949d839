import { setTimeout as sleep } from 'node:timers/promises';
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
  let answer = (_is: boolean): void => undefined;
  const retained = new Promise<boolean>((resolve) => {
    answer = resolve;
  });
  const connection = await connectBroker(broker, {
    ...connect,
    onMessage: ({ payload }) => answer(isDaemons(String(payload))),
  });
  try {
    const [granted] = await connection.subscribe([topic]);
    if (granted !== true) return false;
    const patience = new AbortController();
    const nothing = sleep(RETAINED_WAIT_MS, false, { signal: patience.signal });
    try {
      return await Promise.race([retained, nothing]);
    } finally {
      nothing.catch(() => undefined);
      patience.abort();
    }
  } catch {
    // The report itself will tell what is wrong with the connection.
    return false;
  } finally {
    await connection.close();
  }
}
