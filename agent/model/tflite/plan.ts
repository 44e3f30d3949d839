import type { Buffer as BufferTable } from './generated/model.ts';
import { ALIGNMENT } from './limits.ts';
import { COPY_LIMIT, padding } from './output.ts';

/**
 * Decides where the bytes of a model go in the file that is being written. The same bytes in memory
 * are stored once, short ones also where they are the same by chance, such as shapes. The first buffer
 * is empty: a tensor without values refers to it.
 */
export class BufferPlan {
  readonly tables: BufferTable[] = [{ offset: 0, size: 0 }];
  private readonly indices = new Map<string, number>();
  private readonly places = new Map<string, number>();
  private readonly names = new WeakMap<ArrayBufferLike, number>();
  private named = 0;
  private readonly pieces: Uint8Array[] = [];
  private next: number;
  private readonly constantsOutside: boolean;

  /** `base` is where the bytes outside the flatbuffer begin. */
  constructor(constantsOutside: boolean, base: number) {
    this.constantsOutside = constantsOutside;
    this.next = base;
  }

  /** The index of the buffer of a constant. */
  constant(data: Uint8Array | null): number {
    return this.index(data, this.constantsOutside);
  }

  /** The index of a buffer that readers expect in the flatbuffer itself. */
  inside(data: Uint8Array | null): number {
    return this.index(data, false);
  }

  /** The place of bytes behind the flatbuffer. */
  outside(bytes: Uint8Array): { readonly offset: number; readonly size: number } {
    const key = this.keyOf(bytes);
    let offset = this.places.get(key);
    if (offset === undefined) {
      offset = this.next;
      const gap = padding(bytes.length, ALIGNMENT);
      this.pieces.push(bytes, new Uint8Array(gap));
      this.next += bytes.length + gap;
      this.places.set(key, offset);
    }
    return { offset, size: bytes.length };
  }

  outsidePieces(): readonly Uint8Array[] {
    return this.pieces.filter(({ length }) => length > 0);
  }

  private index(data: Uint8Array | null, outside: boolean): number {
    if (data === null) return 0;
    const key = this.keyOf(data);
    const before = this.indices.get(key);
    if (before !== undefined) return before;
    const table = outside && data.length > 0 ? this.outside(data) : { data, offset: 0, size: 0 };
    this.indices.set(key, this.tables.length);
    return this.tables.push(table) - 1;
  }

  private keyOf(bytes: Uint8Array): string {
    const { buffer, byteOffset, byteLength } = bytes;
    if (byteLength <= COPY_LIMIT) {
      return `=${Buffer.from(buffer, byteOffset, byteLength).toString('latin1')}`;
    }
    let name = this.names.get(buffer);
    if (name === undefined) {
      name = ++this.named;
      this.names.set(buffer, name);
    }
    return `${name}:${byteOffset}:${byteLength}`;
  }
}
