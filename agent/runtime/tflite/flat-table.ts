import type { PagedFile } from './paged-file.ts';

/**
 * A table of a flatbuffer (flatbuffers.dev, "Internals"). It begins with the distance back to its
 * vtable, which holds, from byte 4 on, where each field lies in the table; 0 for one left out.
 */
export class FlatTable {
  readonly #file: PagedFile;
  readonly #at: number;
  readonly #vtable: number;
  readonly #vtableBytes: number;

  constructor(file: PagedFile, at: number) {
    file.spend(1);
    this.#file = file;
    this.#at = at;
    this.#vtable = at - file.i32(at);
    this.#vtableBytes = file.u16(this.#vtable);
  }

  /** The table that a file begins with. */
  static root(file: PagedFile): FlatTable {
    return new FlatTable(file, file.u32(0));
  }

  int8(field: number): number {
    const at = this.#field(field);
    return at === null ? 0 : (this.#file.u8(at) << 24) >> 24;
  }

  int32(field: number, otherwise = 0): number {
    const at = this.#field(field);
    return at === null ? otherwise : this.#file.i32(at);
  }

  bool(field: number): boolean {
    return this.int8(field) !== 0;
  }

  text(field: number): string | null {
    const at = this.#target(field);
    return at === null ? null : this.#file.text(at + 4, this.#length(at));
  }

  ints(field: number): readonly number[] | null {
    const at = this.#target(field);
    if (at === null) return null;
    const length = this.#length(at);
    return Array.from({ length }, (_, index) => this.#file.i32(at + 4 + index * 4));
  }

  table(field: number): FlatTable | null {
    const at = this.#target(field);
    return at === null ? null : new FlatTable(this.#file, at);
  }

  tables(field: number): readonly FlatTable[] {
    const at = this.#target(field);
    if (at === null) return [];
    return Array.from({ length: this.#length(at) }, (_, index) => {
      const place = at + 4 + index * 4;
      return new FlatTable(this.#file, place + this.#file.u32(place));
    });
  }

  #field(field: number): number | null {
    const entry = 4 + field * 2;
    if (entry >= this.#vtableBytes) return null;
    const offset = this.#file.u16(this.#vtable + entry);
    return offset === 0 ? null : this.#at + offset;
  }

  /** Where a text, a vector or another table lies. */
  #target(field: number): number | null {
    const at = this.#field(field);
    return at === null ? null : at + this.#file.u32(at);
  }

  #length(at: number): number {
    const length = this.#file.u32(at);
    this.#file.spend(length);
    return length;
  }
}
