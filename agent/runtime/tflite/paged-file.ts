import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** A page of this size is read at once where tables lie side by side. */
const PAGE_BYTES = 64 * 1024;

/**
 * Tables, elements and bytes of texts that are looked at in one file. Two fields may point to the
 * same table, so a small file could unfold without end; the largest real models have a few hundred
 * thousand.
 */
const MAX_ITEMS = 8_000_000;

/**
 * Numbers and texts anywhere in a file, read page by page: of a model only its tables are looked at,
 * and the weights must not count into the memory that a benchmark reports. Throws RangeError beyond
 * the end.
 */
export class PagedFile {
  readonly bytes: number;
  readonly #file: number;
  readonly #pageBytes: number;
  readonly #pages = new Map<number, Buffer>();
  #items = 0;
  #lastNumber = -1;
  #last: Buffer = Buffer.alloc(0);

  constructor(path: string, pageBytes = PAGE_BYTES) {
    this.#pageBytes = pageBytes;
    this.#file = openSync(path, 'r');
    this.bytes = fstatSync(this.#file).size;
  }

  close(): void {
    closeSync(this.#file);
    this.#pages.clear();
  }

  /** Counts what is about to be read. Throws RangeError when it is too much. */
  spend(items: number): void {
    this.#items += items;
    if (this.#items > MAX_ITEMS) throw new RangeError(`more than ${MAX_ITEMS} parts`);
  }

  u8(at: number): number {
    return this.#page(at).readUInt8(at % this.#pageBytes);
  }

  u16(at: number): number {
    const place = at % this.#pageBytes;
    return this.#isWhole(at, 2)
      ? this.#page(at).readUInt16LE(place)
      : this.u8(at) | (this.u8(at + 1) << 8);
  }

  i32(at: number): number {
    const place = at % this.#pageBytes;
    return this.#isWhole(at, 4)
      ? this.#page(at).readInt32LE(place)
      : this.u16(at) | (this.u16(at + 2) << 16);
  }

  u32(at: number): number {
    return this.i32(at) >>> 0;
  }

  text(at: number, length: number): string {
    return Buffer.from(Array.from({ length }, (_, index) => this.u8(at + index))).toString('utf8');
  }

  /** Whether so many bytes lie in one page. */
  #isWhole(at: number, length: number): boolean {
    return at % this.#pageBytes <= this.#pageBytes - length && at >= 0 && at + length <= this.bytes;
  }

  #page(at: number): Buffer {
    if (at < 0 || at >= this.bytes) throw new RangeError(`offset ${at} is outside the file`);
    const number = Math.floor(at / this.#pageBytes);
    if (number === this.#lastNumber) return this.#last;
    this.#last = this.#pages.get(number) ?? this.#read(number);
    this.#lastNumber = number;
    return this.#last;
  }

  #read(number: number): Buffer {
    const start = number * this.#pageBytes;
    const page = Buffer.alloc(Math.min(this.#pageBytes, this.bytes - start));
    readSync(this.#file, page, 0, page.length, start);
    this.#pages.set(number, page);
    return page;
  }
}
