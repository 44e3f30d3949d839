import { join } from 'node:path';
import type { Revocation } from '../../contracts/revocation.ts';
import { messageOf } from '../../util/errors.ts';
import { writeFileDurably } from '../../util/files.ts';
import { connectBroker } from '../broker-connection.ts';
import type { BrokerSettings } from '../broker-link.ts';
import type { Arrival, OperatorChannel } from '../operator/channel.ts';
import { readRetained } from '../operator/wait.ts';
import { parseTopic, TOPIC_ROOT, topicFor } from '../protocol/topics.ts';

export interface Removed {
  /** Topics that were cleared. */
  readonly cleared: number;
  /** The file with everything that was kept there; null when there was nothing. */
  readonly archive: string | null;
}

/**
 * Ends the session of a device at the broker, with what waits in it: a client that comes with the same
 * id takes its place. The device may connect again, if it still has access. Says whether it worked:
 * some brokers tie client ids to users.
 */
export async function endSession(
  broker: BrokerSettings,
  deviceId: string,
  timeoutMs: number,
): Promise<string | null> {
  try {
    const connection = await connectBroker(broker, { clientId: deviceId, timeoutMs });
    await connection.close();
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

/** Tells controllers and dashboards, for as long as it holds. */
export async function publishRevocation(
  channel: OperatorChannel,
  deviceId: string,
  revocation: Revocation | null,
): Promise<void> {
  await channel.publish({
    topic: topicFor('revocation', { device: deviceId }),
    payload: revocation === null ? '' : JSON.stringify(revocation),
    retain: true,
    schema: 'edgefit/revocation/1',
  });
}

/**
 * Takes everything that the broker keeps of a device away, after it is written to a file, so that its
 * history stays. `keep` names what stays at the broker. Throws FileError before anything is cleared.
 */
export async function removeRetained(
  channel: OperatorChannel,
  deviceId: string,
  archiveFolder: string,
  { now = new Date(), keep = () => false }: RemoveOptions = {},
): Promise<Removed> {
  const found = await readRetained(channel, [`${TOPIC_ROOT}/d/${deviceId}/#`]);
  const kept = found.filter(({ topic }) => {
    const kind = parseTopic(topic)?.kind ?? null;
    return kind !== 'revocation' && !keep(kind);
  });
  if (kept.length === 0) return { cleared: 0, archive: null };
  const stamp = now.toISOString().replaceAll(/[-:.]/g, '');
  const archive = join(archiveFolder, `${deviceId}-${stamp}.jsonl`);
  await writeFileDurably(archive, `${kept.map(archiveLine).join('\n')}\n`);
  // The card last: to a controller it tells that all is gone, and that who comes then is another board.
  const inOrder = kept.toSorted((a, b) => Number(isCard(a)) - Number(isCard(b)));
  for (const { topic } of inOrder) {
    // oxlint-disable-next-line no-await-in-loop -- one at a time is enough
    await channel.publish({ topic, payload: '', retain: true, schema: 'none' });
  }
  return { cleared: kept.length, archive };
}

export interface RemoveOptions {
  readonly now?: Date;
  readonly keep?: (kind: string | null) => boolean;
}

function isCard({ topic }: Arrival): boolean {
  return parseTopic(topic)?.kind === 'card';
}

function archiveLine({ topic, payload }: Arrival): string {
  return JSON.stringify({ topic, payload: Buffer.from(payload).toString('utf8') });
}
