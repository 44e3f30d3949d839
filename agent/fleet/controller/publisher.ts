import { messageOf } from '../../util/errors.ts';
import type { OutgoingMessage } from '../protocol/outgoing.ts';

export interface PublisherOptions {
  readonly publish: (message: OutgoingMessage) => Promise<void>;
  /** Asked right before each message: who does not lead any more says nothing more. */
  readonly mayPublish: () => boolean;
  readonly warn: (message: string) => void;
}

/** On their way unacknowledged. */
const MAX_FLYING = 64;

interface Item {
  readonly message: OutgoingMessage;
  readonly onDone: () => void;
}

/**
 * Sends what a controller has decided and kept, in order, some at a time. What fails is dropped and
 * said: after every connection the controller compares what it has kept with what the broker has.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #waiting: Item[] = [];
  #flying = 0;
  #failed = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting.length + this.#flying;
  }

  /** Whether something could not be sent since this was asked last. */
  takeFailed(): boolean {
    const failed = this.#failed;
    this.#failed = false;
    return failed;
  }

  send(message: OutgoingMessage, onDone: () => void = () => undefined): void {
    this.#waiting.push({ message, onDone });
    this.#pump();
  }

  /** Forgets what waits. */
  drop(): void {
    this.#waiting.length = 0;
  }

  #pump(): void {
    while (this.#flying < MAX_FLYING) {
      const item = this.#waiting.shift();
      if (item === undefined) return;
      if (!this.#options.mayPublish()) {
        this.#failed = true;
        continue;
      }
      this.#flying += 1;
      void this.#fly(item);
    }
  }

  async #fly({ message, onDone }: Item): Promise<void> {
    try {
      await this.#options.publish(message);
      onDone();
    } catch (error) {
      if (!this.#failed) this.#options.warn(`${message.topic}: ${messageOf(error)}`);
      this.#failed = true;
    } finally {
      this.#flying -= 1;
      this.#pump();
    }
  }
}
