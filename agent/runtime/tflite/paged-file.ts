import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const PAGE_BYTES = 64 * 1024;

/**
 * Numbers and texts anywhere in a file, read page by page: of a model only its tables are looked at,
 * and the weights must not count into the memory that a benchmark reports. Throws RangeError beyond
 * the end.
 */
export class PagedFile {
  readonly bytes: number;
  readonly #file: number;
  readonly #pages = new Map<number, Buffer>();

  constructor(path: string) {
    this.#file = openSync(path, 'r');
    this.bytes = fstatSync(this.#file).size;
  }

  close(): void {
    closeSync(this.#file);
    this.#pages.clear();
  }

  u8(at: number): number {
    return this.#page(at).readUInt8(at % PAGE_BYTES);
  }

  u16(at: number): number {
    return this.u8(at) | (this.u8(at + 1) << 8);
  }

  i32(at: number): number {
    return this.u16(at) | (this.u16(at + 2) << 16);
  }

  u32(at: number): number {
    return this.i32(at) >>> 0;
  }

  text(at: number, length: number): string {
    return Buffer.from(Array.from({ length }, (_, index) => this.u8(at + index))).toString('utf8');
  }

  #page(at: number): Buffer {
    if (at < 0 || at >= this.bytes) throw new RangeError(`offset ${at} is outside the file`);
    const number = Math.floor(at / PAGE_BYTES);
    const known = this.#pages.get(number);
    if (known) return known;
    const start = number * PAGE_BYTES;
    const page = Buffer.alloc(Math.min(PAGE_BYTES, this.bytes - start));
    readSync(this.#file, page, 0, page.length, start);
    this.#pages.set(number, page);
    return page;
  }
}
