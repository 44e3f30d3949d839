/** The bytes of a flatbuffer while they come to be. */

/** Byte vectors longer than this are handed on as views instead of being copied. */
export const COPY_LIMIT = 4096;
const FIRST_BYTES = 4096;

/** A vector of numbers, bytes or characters, and the offsets that are to lead to it. */
interface Leaf {
  readonly fields: number[];
  /** Elements, as the vector's head counts them. */
  readonly length: number;
  readonly bytes: Uint8Array;
  readonly align: number;
}

interface Blob {
  readonly field: number;
  readonly bytes: Uint8Array;
  readonly align: number;
}

export class Output {
  /** On the part that is copied; new whenever the part grows. */
  view = new DataView(new ArrayBuffer(FIRST_BYTES));
  private used = 0;
  private readonly vtables = new Map<string, number>();
  private readonly leaves = new Map<string, Leaf>();
  private readonly blobs: Blob[] = [];

  /** Appends zeros and returns where they begin. */
  zeros(count: number): number {
    const start = this.used;
    this.used += count;
    if (this.used > this.view.byteLength) this.grow();
    return start;
  }

  append(bytes: Uint8Array): void {
    const start = this.zeros(bytes.length);
    new Uint8Array(this.view.buffer).set(bytes, start);
  }

  /** Makes the offset at `field` lead to the length of a vector whose elements follow. */
  beginVector(field: number, length: number, align: number): void {
    this.alignFor(4, align);
    this.link(field, this.used);
    const at = this.zeros(4);
    this.view.setUint32(at, length, true);
  }

  /**
   * A vector of `length` elements that lead nowhere. Offsets only point forward, so these lie behind
   * all tables: there whoever has the same content can share it, such as the zero points of channels.
   */
  leaf(field: number, length: number, bytes: Uint8Array, align: number): void {
    const content = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const key = `${align}:${length}:${content.toString('latin1')}`;
    const same = this.leaves.get(key);
    if (same === undefined) this.leaves.set(key, { fields: [field], length, bytes, align });
    else same.fields.push(field);
  }

  /** A vector of bytes; long ones come last. */
  bytes(field: number, bytes: Uint8Array, align: number): void {
    if (bytes.length > COPY_LIMIT) this.blobs.push({ field, bytes, align });
    else this.leaf(field, bytes.length, bytes, align);
  }

  /**
   * Makes the offset at `field` lead to a new table and returns where it begins. `places` are the
   * fields' places in the table by slot; tables of the same layout share their vtable.
   */
  beginTable(field: number, places: readonly number[], tableBytes: number, align: number): number {
    const vtable = this.vtable(places, tableBytes);
    this.alignFor(0, align);
    const start = this.zeros(tableBytes);
    this.view.setInt32(start, start - vtable, true);
    this.link(field, start);
    return start;
  }

  /** The bytes so far, and the long vectors behind them. */
  finish(): readonly Uint8Array[] {
    this.placeLeaves();
    const pieces: Uint8Array[] = [];
    let length = this.used;
    for (const { field, bytes, align } of this.blobs) {
      const gap = padding(length + 4, Math.max(align, 4));
      const head = new Uint8Array(gap + 4);
      new DataView(head.buffer).setUint32(gap, bytes.length, true);
      this.link(field, length + gap);
      pieces.push(head, bytes);
      length += head.length + bytes.length;
    }
    return [new Uint8Array(this.view.buffer, 0, this.used), ...pieces];
  }

  /** The widest first: then few gaps are left between them. */
  private placeLeaves(): void {
    const leaves = [...this.leaves.values()].toSorted((one, other) => other.align - one.align);
    for (const { fields, length, bytes, align } of leaves) {
      const [first = 0, ...others] = fields;
      this.beginVector(first, length, align);
      const start = this.used - 4;
      for (const field of others) this.link(field, start);
      this.append(bytes);
    }
  }

  private link(field: number, target: number): void {
    // Too long an offset is found by the length of the whole.
    this.view.setUint32(field, target - field, true);
  }

  private vtable(places: readonly number[], tableBytes: number): number {
    const key = `${tableBytes}:${places.join()}`;
    const before = this.vtables.get(key);
    if (before !== undefined) return before;
    this.alignFor(0, 2);
    const start = this.zeros(4 + 2 * places.length);
    this.view.setUint16(start, 4 + 2 * places.length, true);
    this.view.setUint16(start + 2, tableBytes, true);
    places.forEach((place, slot) => this.view.setUint16(start + 4 + 2 * slot, place, true));
    this.vtables.set(key, start);
    return start;
  }

  /** Pads so that what follows `ahead` more bytes starts at a multiple of `align`, and of four. */
  private alignFor(ahead: number, align: number): void {
    this.zeros(padding(this.used + ahead, ahead === 0 ? align : Math.max(align, 4)));
  }

  private grow(): void {
    const bytes = new Uint8Array(Math.max(this.used, 2 * this.view.byteLength));
    bytes.set(new Uint8Array(this.view.buffer));
    this.view = new DataView(bytes.buffer);
  }
}

/** Bytes from `at` to the next multiple of `align`. */
export function padding(at: number, align: number): number {
  return (align - (at % align)) % align;
}
