import type { IPublishPacket } from 'mqtt';

/** What of one device is taken as it comes; a healthy one sends a few in a second at most. */
const PER_SECOND = 20;
/** Topics of one device of which something waits; beyond, the oldest goes. */
const MAX_TOPICS = 32;
const SECOND_MS = 1000;

/**
 * Bounds the work for one device, so that one that floods does not starve the others. Beyond so many
 * messages in a second the newest of each topic waits for the next one: state is late then, not lost,
 * unless more topics wait than a healthy device has. Then the one that has waited longest is dropped.
 */
export class Pace {
  readonly #take: (packet: IPublishPacket) => void;
  readonly #waiting = new Map<string, Map<string, IPublishPacket>>();
  #taken = new Map<string, number>();
  #left = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(take: (packet: IPublishPacket) => void) {
    this.#take = take;
  }

  /** Messages that newer ones have overtaken, or that were too many. */
  get left(): number {
    return this.#left;
  }

  take(deviceId: string, packet: IPublishPacket): void {
    this.#timer ??= setTimeout(() => this.#nextSecond(), SECOND_MS);
    const taken = this.#taken.get(deviceId) ?? 0;
    if (taken < PER_SECOND) {
      this.#taken.set(deviceId, taken + 1);
      this.#take(packet);
    } else this.#wait(deviceId, packet);
  }

  /** What waits is dropped. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#waiting.clear();
  }

  #wait(deviceId: string, packet: IPublishPacket): void {
    const waiting = this.#waiting.get(deviceId) ?? new Map<string, IPublishPacket>();
    this.#waiting.set(deviceId, waiting);
    if (waiting.delete(packet.topic)) this.#left += 1;
    waiting.set(packet.topic, packet);
    const [oldest] = waiting.keys();
    if (waiting.size <= MAX_TOPICS || oldest === undefined) return;
    waiting.delete(oldest);
    this.#left += 1;
  }

  /** Everything that waits was the newest of its topic: nothing newer was taken meanwhile. */
  #nextSecond(): void {
    const waiting = [...this.#waiting.entries()];
    this.#waiting.clear();
    this.#taken = new Map(waiting.map(([deviceId, { size }]) => [deviceId, size]));
    this.#timer =
      waiting.length === 0 ? undefined : setTimeout(() => this.#nextSecond(), SECOND_MS);
    for (const [, packets] of waiting) for (const packet of packets.values()) this.#take(packet);
  }
}
