import type { Readable } from 'node:stream';
import { messageOf } from '../../util/errors.ts';

/** Pieces held for a reader that is busy; beyond this the sender has to wait. */
const MAX_HELD_BYTES = 256 * 1024;

/**
 * The pieces of a stream in order, then its error, if it ends with one. Collects from the moment it is
 * made: a stream that is iterated directly forgets what it had received but not yet handed out when the
 * connection breaks, and on a line that breaks often a download would never get on.
 */
export class Pieces implements AsyncIterable<Uint8Array> {
  readonly #stream: Readable;
  readonly #held: Uint8Array[] = [];
  #heldBytes = 0;
  #ended = false;
  #failure: Error | null = null;
  #wake: () => void = () => undefined;

  constructor(stream: Readable) {
    this.#stream = stream;
    stream.on('data', (piece: Uint8Array) => {
      this.#hold(piece);
    });
    stream.once('end', () => {
      this.#end(null);
    });
    stream.once('close', () => {
      this.#end(null);
    });
    stream.on('error', (error: unknown) => {
      this.#end(error instanceof Error ? error : new Error(messageOf(error)));
    });
  }

  /** Ends the connection; what comes later is of no interest. */
  destroy(): void {
    this.#stream.destroy();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = this.#take();
      if (piece !== undefined) {
        yield piece;
      } else if (this.#ended) {
        if (this.#failure !== null) throw this.#failure;
        return;
      } else {
        // oxlint-disable-next-line no-await-in-loop -- waits for the next piece
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  #hold(piece: Uint8Array): void {
    this.#held.push(piece);
    this.#heldBytes += piece.length;
    if (this.#heldBytes > MAX_HELD_BYTES) this.#stream.pause();
    this.#wake();
  }

  #take(): Uint8Array | undefined {
    const piece = this.#held.shift();
    this.#heldBytes -= piece?.length ?? 0;
    if (this.#heldBytes <= MAX_HELD_BYTES && this.#stream.isPaused()) this.#stream.resume();
    return piece;
  }

  #end(failure: Error | null): void {
    this.#ended = true;
    this.#failure ??= failure;
    this.#wake();
  }
}
