import type { IPublishPacket } from 'mqtt';
import { connectBroker } from '../broker-connection.ts';
import type { BrokerConnection } from '../broker-connection.ts';
import type { BrokerSettings, ConnectOptions } from '../broker-link.ts';
import { CARD_SHARDS, topicFilter } from '../protocol/topics.ts';
import { ReportError } from '../report-error.ts';

export interface ReaderOptions {
  readonly broker: BrokerSettings;
  readonly connect: Pick<ConnectOptions, 'clientId' | 'timeoutMs' | 'protocols' | 'signal'>;
  readonly onMessage: (packet: IPublishPacket) => void;
  /** Nothing comes for so long: it was all, where nothing else tells. */
  readonly quietMs?: number;
  /** Cards by shard that earlier readers have seen; this one adds its own. */
  readonly known?: Map<string, string>;
}

export interface CardReading {
  readonly cards: number;
  /** Shards that hold more than the broker delivers at once. */
  readonly cut: readonly string[];
}

const QUIET_MS = 600;
/** So many times longer a topic that is known to be there is waited for: a busy machine is slow. */
const SENTINEL_PATIENCE = 5;
/** Messages asked for at once, at first: half of what mosquitto queues for a client. */
const FIRST_BATCH = 500;
const MIN_BATCH = 16;
/** Of what the broker was seen to deliver at once. */
const SAFE_SHARE = 0.8;
/** Filters in one SUBSCRIBE. */
const MAX_FILTERS = 300;
/** A first look at shards of unknown size grows by this factor. */
const GROWTH = 4;

/** `lost`: the topic that was asked for last is not there any more, so nothing is known. */
type Ending = 'all' | 'quiet' | 'lost';

/**
 * Reads what a broker keeps, completely. A broker with a bounded queue for each client (mosquitto:
 * max_queued_messages 1000) silently drops what a subscription brings beyond it, so little is asked for
 * at a time, and a topic that is known to be there is asked for last: when it comes, all has come; when
 * it does not, something was dropped, and less is asked for. A connection of its own, so that what
 * comes live does not fill the same queue.
 */
export class RetainedReader {
  readonly #connection: BrokerConnection;
  readonly #quietMs: number;
  readonly #onMessage: ReaderOptions['onMessage'];
  #batchSize = FIRST_BATCH;
  /** Cards that are known to be there, of different shards. */
  readonly #known: Map<string, string>;
  #awaited: string | null = null;
  #onAwaited: () => void = () => undefined;
  #count = 0;
  #lastMs = 0;

  /** Connects. Throws ReportError. */
  static async open({ broker, connect, ...rest }: ReaderOptions): Promise<RetainedReader> {
    const early: IPublishPacket[] = [];
    let take = (packet: IPublishPacket): void => {
      early.push(packet);
    };
    const onMessage = (packet: IPublishPacket) => take(packet);
    const connection = await connectBroker(broker, { ...connect, onMessage });
    const reader = new RetainedReader(connection, rest);
    take = (packet) => reader.#take(packet);
    early.forEach(take);
    return reader;
  }

  private constructor(
    connection: BrokerConnection,
    { onMessage, quietMs = QUIET_MS, known = new Map() }: Omit<ReaderOptions, 'broker' | 'connect'>,
  ) {
    this.#known = known;
    this.#connection = connection;
    this.#quietMs = quietMs;
    this.#onMessage = onMessage;
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  /** Every card, shard by shard. Throws ReportError. */
  async readCards(): Promise<CardReading> {
    const shards = Array.from({ length: CARD_SHARDS }, (_, at) => at.toString(16).padStart(2, '0'));
    const cut: string[] = [];
    let [cards, read, size] = [0, 0, 1];
    let wasUnsure = false;
    while (shards.length > 0) {
      const group = shards.splice(0, size);
      const sentinel = this.#knownOutside(group);
      // oxlint-disable-next-line no-await-in-loop -- one group after the other is the point
      const { ending, count } = await this.#batch(group.map(cardFilter), sentinel);
      if (ending === 'lost') {
        shards.unshift(...group);
        continue;
      }
      if (ending === 'quiet' && sentinel !== null && group.length > 1) {
        shards.unshift(...group);
        size = Math.ceil(group.length / 2);
        continue;
      }
      if (ending === 'quiet' && sentinel !== null) cut.push(...group);
      // The first cards of all: nothing tells whether they were all. Once more, after the others.
      const isUnsure: boolean = sentinel === null && count > 0 && !wasUnsure;
      wasUnsure ||= isUnsure;
      if (isUnsure) shards.push(...group);
      else cards += count;
      read += isUnsure ? 0 : group.length;
      size = this.#groupSize(size, isUnsure ? count / group.length : cards / read);
    }
    return { cards, cut };
  }

  /**
   * What is kept at exactly these topics; where nothing is, nothing comes. False where one of them, a
   * filter, brings more than the broker delivers at once. Throws ReportError.
   */
  async readTopics(topics: readonly string[]): Promise<boolean> {
    let at = 0;
    let isWhole = true;
    let size = Math.min(MAX_FILTERS, this.#batchSize);
    while (at < topics.length) {
      const filters = topics.slice(at, at + size);
      const [sentinel = null] = this.#known.values();
      // oxlint-disable-next-line no-await-in-loop -- one batch after the other is the point
      const { ending } = await this.#batch(filters, sentinel);
      if (ending === 'lost') continue;
      const isCut = ending === 'quiet' && sentinel !== null;
      if (isCut && filters.length > MIN_BATCH) {
        size = Math.max(MIN_BATCH, Math.min(this.#batchSize, Math.ceil(filters.length / 2)));
      } else {
        isWhole &&= !isCut;
        at += filters.length;
      }
    }
    return isWhole;
  }

  #groupSize(before: number, perShard: number): number {
    if (perShard === 0) return Math.min(CARD_SHARDS, before * GROWTH);
    return Math.max(1, Math.min(before * GROWTH, Math.floor(this.#batchSize / perShard)));
  }

  #knownOutside(group: readonly string[]): string | null {
    const found = [...this.#known].find(([shard]) => !group.includes(shard));
    return found?.[1] ?? null;
  }

  async #batch(
    filters: readonly string[],
    sentinel: string | null,
  ): Promise<{ readonly ending: Ending; readonly count: number }> {
    this.#awaited = sentinel;
    this.#count = 0;
    const came = new Promise<Ending>((resolve) => {
      this.#onAwaited = () => resolve('all');
    });
    const all = sentinel === null ? filters : [...filters, sentinel];
    const granted = await this.#connection.subscribe(all);
    this.#lastMs = performance.now();
    const refused = all.find((_, index) => granted[index] !== true);
    if (refused !== undefined) {
      throw new ReportError('NOT_AUTHORIZED', `the broker does not let this user read ${refused}`);
    }
    const patienceMs = this.#quietMs * (sentinel === null ? 1 : SENTINEL_PATIENCE);
    const ending = await this.#ending(came, patienceMs);
    const count = this.#count;
    await this.#connection.unsubscribe(all);
    const isCut = ending === 'quiet' && sentinel !== null;
    return { ending: isCut ? await this.#whyQuiet(sentinel) : ending, count };
  }

  /** A device may have been removed since its card was seen. */
  async #whyQuiet(sentinel: string): Promise<Ending> {
    const arrived = this.#count;
    const { count } = await this.#batch([sentinel], null);
    if (count > 0) {
      // What came is what the broker delivers at once.
      this.#batchSize = Math.max(MIN_BATCH, Math.floor(arrived * SAFE_SHARE));
      return 'quiet';
    }
    for (const [shard, topic] of this.#known) if (topic === sentinel) this.#known.delete(shard);
    return 'lost';
  }

  /** The sentinel, or silence. Throws ReportError when the connection ends. */
  async #ending(came: Promise<Ending>, patienceMs: number): Promise<Ending> {
    let timer: NodeJS.Timeout | undefined;
    const quiet = new Promise<Ending>((resolve) => {
      const look = (): void => {
        const restMs = this.#lastMs + patienceMs - performance.now();
        if (restMs <= 0) resolve('quiet');
        else timer = setTimeout(look, restMs);
      };
      look();
    });
    const over = this.#connection.ended.then(({ why }) => {
      throw new ReportError('UNREACHABLE', `the connection ended while reading: ${why}`);
    });
    try {
      return await Promise.race([came, quiet, over]);
    } finally {
      clearTimeout(timer);
    }
  }

  #take(packet: IPublishPacket): void {
    this.#lastMs = performance.now();
    if (packet.topic === this.#awaited) {
      this.#onAwaited();
      return;
    }
    this.#count += 1;
    const shard = CARD_TOPIC.exec(packet.topic)?.[1];
    if (shard !== undefined && packet.payload.length > 0) this.#known.set(shard, packet.topic);
    this.#onMessage(packet);
  }
}

const CARD_TOPIC = /\/up\/card\/([0-9a-f]{2})$/;

function cardFilter(shard: string): string {
  return topicFilter('card', { shard });
}
