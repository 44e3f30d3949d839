import { randomBytes } from 'node:crypto';
import type { BenchReport } from '../contracts/bench.ts';
import type { Facts } from '../contracts/facts.ts';
import { messageOf } from '../util/errors.ts';
import { connectBroker } from './broker-connection.ts';
import type { BrokerConnection } from './broker-connection.ts';
import type { BrokerSettings, ProtocolVersion } from './broker-link.ts';
import { benchMessage, birthMessage, MAX_PAYLOAD_BYTES } from './protocol/outgoing.ts';
import type { OutgoingMessage } from './protocol/outgoing.ts';
import { ReportError } from './report-error.ts';
import { hasDaemonBirth } from './daemon-birth.ts';
import { topicFor } from './protocol/topics.ts';
import { flushUnsent, saveUnsent } from './unsent.ts';

export interface ReportOptions {
  readonly broker: BrokerSettings;
  readonly deviceId: string;
  readonly facts: Facts;
  readonly report: BenchReport;
  /** Version of the agent. */
  readonly agent: string;
  /** Longest wait for any one answer of the broker. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Whether the birth is published, too. Default: unless a daemon keeps its own, richer one. */
  readonly announce?: boolean;
  /** Default: the time of the call. */
  readonly now?: Date;
  /** Default: MQTT 5, then 3.1.1. */
  readonly protocols?: readonly ProtocolVersion[];
}

export interface Published {
  /** Under 3.1.1 (4) a broker may acknowledge a message that its ACL drops: it cannot say so. */
  readonly protocol: ProtocolVersion;
  readonly topics: readonly string[];
  readonly bytes: number;
  /** Earlier messages that were kept on the device and have now been sent too. */
  readonly sentLater: number;
  /** What could not be done about earlier messages; the report itself has arrived. */
  readonly warnings: readonly string[];
}

/**
 * What `agent bench --mqtt` publishes: the device's birth (retained, so that a dashboard that comes
 * later sees it) and the benchmark. Not `up/status`: presence belongs to the daemon's session.
 * Throws TopicError on a bad device id and ReportError TOO_LARGE.
 */
export function reportMessages(options: ReportOptions): readonly OutgoingMessage[] {
  const messages = makeMessages(options);
  checkSizes(messages);
  return messages;
}

function makeMessages(options: ReportOptions): readonly OutgoingMessage[] {
  const { deviceId, facts, report, agent, announce = true, now = new Date() } = options;
  const birth = birthMessage({ deviceId, facts, agent, session: null, now });
  return [...(announce ? [birth] : []), benchMessage(deviceId, report)];
}

function isTooLarge({ payload }: OutgoingMessage): boolean {
  return Buffer.byteLength(payload) > MAX_PAYLOAD_BYTES;
}

function checkSizes(messages: readonly OutgoingMessage[]): void {
  for (const { topic, payload } of messages.filter(isTooLarge)) {
    const bytes = Buffer.byteLength(payload);
    const limit = `a message may have ${MAX_PAYLOAD_BYTES}`;
    const fix = 'benchmark fewer candidates with --precision or --runtime';
    throw new ReportError('TOO_LARGE', `${topic} has ${bytes} bytes and ${limit}: ${fix}`);
  }
}

async function sendEarlier(
  connection: BrokerConnection,
  state: string,
  broker: string,
  topics: readonly string[],
): Promise<{ sentLater: number; warnings: readonly string[] }> {
  let sentLater = 0;
  try {
    const send = async (message: OutgoingMessage) => {
      await connection.publish(message);
      sentLater += 1;
    };
    const { corrupt, refused } = await flushUnsent(state, broker, send, new Set(topics));
    const warnings = [
      ...corrupt.map((path) => `${path} held no message: set aside`),
      ...refused.map(({ path, why }) => `an earlier report is set aside as ${path}: ${why}`),
    ];
    return { sentLater, warnings };
  } catch (error) {
    // The report itself is out; what is left stays on the disk for the next time.
    return { sentLater, warnings: [`earlier reports are still waiting: ${messageOf(error)}`] };
  }
}

async function sendAll(
  options: ReportOptions,
  messages: readonly OutgoingMessage[],
  state: string | undefined,
): Promise<Published> {
  const { broker, deviceId, timeoutMs, signal, protocols, announce } = options;
  // Its own client id: with the daemon's, the broker would throw the daemon out.
  const clientId = `${deviceId}-bench-${randomBytes(4).toString('hex')}`;
  const connect = {
    clientId,
    timeoutMs,
    signal,
    ...(protocols === undefined ? {} : { protocols }),
  };
  const birthTopic = topicFor('birth', { device: deviceId });
  const known = announce === undefined && (await hasDaemonBirth(broker, connect, birthTopic));
  const sending = messages.filter(({ topic }) => !known || topic !== birthTopic);
  const connection = await connectBroker(broker, connect);
  try {
    for (const message of sending) {
      // oxlint-disable-next-line no-await-in-loop -- the birth first, so that nobody meets a report of an unknown device
      await connection.publish(message);
    }
    const topics = sending.map(({ topic }) => topic);
    const bytes = sending.reduce((sum, { payload }) => sum + Buffer.byteLength(payload), 0);
    // An earlier birth that waits is older than what is there, whoever made that.
    const newer = [...topics, birthTopic];
    const earlier =
      state === undefined
        ? { sentLater: 0, warnings: [] }
        : await sendEarlier(connection, state, broker.address.display, newer);
    return { protocol: connection.protocol, topics, bytes, ...earlier };
  } finally {
    await connection.close();
  }
}

/**
 * Publishes a benchmark and waits until the broker has acknowledged it. Throws ReportError,
 * TopicError, or the signal's reason when aborted.
 */
export async function publishReport(options: ReportOptions): Promise<Published> {
  return sendAll(options, reportMessages(options), undefined);
}

/**
 * Like `publishReport`, and loses nothing: a report that cannot be sent is kept in the state folder
 * and goes out with a later one to the same broker. One that is too large for any is kept there
 * beside those that wait, for people to find. Throws the same errors; a ReportError then says where
 * the report is kept.
 */
export async function publishOrKeep(options: ReportOptions, state: string): Promise<Published> {
  const messages = makeMessages(options);
  try {
    checkSizes(messages);
    return await sendAll(options, messages, state);
  } catch (error) {
    const kept = await keep(options, messages, state);
    if (!(error instanceof ReportError)) throw error;
    throw new ReportError(error.code, `${error.message} (${kept})`, error);
  }
}

async function keep(
  { broker, now = new Date() }: ReportOptions,
  messages: readonly OutgoingMessage[],
  state: string,
): Promise<string> {
  try {
    const { display } = broker.address;
    if (messages.some(isTooLarge)) {
      const large = messages.filter(isTooLarge);
      const { folder } = await saveUnsent(state, display, large, now, 'refused');
      return `the report is kept in ${folder} as .refused and will not be sent`;
    }
    const { folder } = await saveUnsent(state, display, messages, now);
    return `the report is kept in ${folder} and will be sent with the next one`;
  } catch (error) {
    return `the report could not be kept either: ${messageOf(error)}`;
  }
}
