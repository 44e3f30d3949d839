import { messageOf } from '../../util/errors.ts';
import { SampleError } from './error.ts';

const LINE_BREAK = 0x0a;

/** Exact reads from a stream of chunks of any size; holds one chunk at a time. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  readonly #name: string;
  #chunk: Uint8Array = new Uint8Array(0);
  #used = 0;
  #offset = 0;

  constructor(source: AsyncIterable<Uint8Array>, name: string) {
    this.#chunks = source[Symbol.asyncIterator]();
    this.#name = name;
  }

  /** The next `n` bytes in memory of their own. Throws SampleError when the stream ends before. */
  async read(n: number): Promise<Buffer> {
    const bytes = await this.readOrEnd(n);
    if (bytes !== null || n === 0) return bytes ?? Buffer.alloc(0);
    throw this.#truncated(n, 0);
  }

  /** Like `read`, but null when the stream ends exactly here. */
  async readOrEnd(n: number): Promise<Buffer | null> {
    // Not Buffer.allocUnsafe: the pool would misalign the typed arrays laid over it.
    const out = Buffer.from(new ArrayBuffer(n));
    for (let filled = 0; filled < n;) {
      if (this.#used === this.#chunk.length && !(await this.#more())) {
        if (filled === 0) return null;
        throw this.#truncated(n, filled);
      }
      const part = this.#chunk.subarray(this.#used, this.#used + n - filled);
      out.set(part, filled);
      filled += part.length;
      this.#used += part.length;
      this.#offset += part.length;
    }
    return out;
  }

  /** Whether there is at least one more byte; waits for it. */
  async hasMore(): Promise<boolean> {
    while (this.#used === this.#chunk.length) {
      // oxlint-disable-next-line no-await-in-loop -- until a chunk has something in it
      if (!(await this.#more())) return false;
    }
    return true;
  }

  /** The bytes before the next line break, which is passed over; null when `most` are not enough. */
  async readLine(most: number): Promise<Buffer | null> {
    const parts: Uint8Array[] = [];
    let length = 0;
    // oxlint-disable-next-line no-await-in-loop -- a stream
    while (await this.hasMore()) {
      const end = this.#chunk.indexOf(LINE_BREAK, this.#used);
      const part = this.#chunk.subarray(this.#used, end === -1 ? this.#chunk.length : end);
      length += part.length;
      if (length > most) return null;
      parts.push(part);
      const step = part.length + (end === -1 ? 0 : 1);
      this.#used += step;
      this.#offset += step;
      if (end !== -1) return Buffer.concat(parts);
    }
    throw this.#truncated(1, 0);
  }

  /** Passes over `n` bytes without keeping them. */
  async skip(n: number): Promise<void> {
    for (let left = n; left > 0;) {
      if (this.#used === this.#chunk.length && !(await this.#more())) {
        throw this.#truncated(n, n - left);
      }
      const step = Math.min(left, this.#chunk.length - this.#used);
      this.#used += step;
      this.#offset += step;
      left -= step;
    }
  }

  /** Stops the source; safe to call twice. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #more(): Promise<boolean> {
    try {
      const next = await this.#chunks.next();
      if (next.done === true) return false;
      this.#chunk = next.value;
      this.#used = 0;
      return true;
    } catch (error) {
      throw new SampleError(
        'unreadable',
        `${this.#name}: cannot be read at offset ${this.#offset}: ${messageOf(error)}`,
        error,
      );
    }
  }

  #truncated(wanted: number, got: number): SampleError {
    const at = `ends at offset ${this.#offset}`;
    return new SampleError(
      'truncated',
      `${this.#name}: truncated: ${at}, ${wanted - got} bytes too early`,
    );
  }
}
