import { isUtf8 } from 'node:buffer';
import { ModelError } from '../errors.ts';
import {
  FREE_BYTES,
  MAX_ELEMENTS,
  MAX_ITEMS,
  MAX_READS_PER_BYTE,
  MAX_TEXT_BYTES,
  MAX_UNKNOWN,
} from './limits.ts';

/**
 * Reads flatbuffers (flatbuffers.dev, "FlatBuffers Internals") and verifies every offset, length and
 * table before it is used. Byte vectors are views on the file; errors name the place and the offset.
 *
 * Offsets to tables, vectors and texts only ever point forward and the format's tables do not nest
 * without end, so there are no loops; what several fields share is bounded by the bytes read.
 */

/** Where we are, from the inside out; made into text only for an error. */
interface Place {
  readonly outer: Place | undefined;
  readonly name: string;
  readonly index: number | undefined;
}

type ReadTable<T> = (table: Table) => T;

/** The file, and what has been read of it so far. */
class Source {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly unknown: string[] = [];
  /** One past the last byte that anything refers to. */
  end = 8;
  private items = 0;
  private elements = 0;
  private budget: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.budget = FREE_BYTES + MAX_READS_PER_BYTE * bytes.length;
  }

  /** Makes sure that these bytes are there, and counts them. */
  claim(at: number, count: number, place: Place): void {
    const left = this.bytes.length - at;
    if (count > left) {
      throw new ModelError(
        'TRUNCATED',
        `cut off: ${count} bytes wanted, ${Math.max(left, 0)} left in ${pathOf(place)} at byte ${at}`,
      );
    }
    this.end = Math.max(this.end, at + count);
  }

  /** Counts what becomes objects of ours; views cost nothing. */
  spend(bytes: number, at: number, place: Place): void {
    this.budget -= bytes;
    if (this.budget < 0) {
      throw limit('how often each byte of the file is read', MAX_READS_PER_BYTE, at, place);
    }
    if (++this.items > MAX_ITEMS) throw limit('the number of parts', MAX_ITEMS, at, place);
  }

  /** Counts the elements of a list. */
  spendList(length: number, size: number, at: number, place: Place): void {
    this.spend(length * size, at, place);
    this.elements += length;
    if (this.elements > MAX_ELEMENTS) throw limit('all lists', MAX_ELEMENTS, at, place);
  }

  noteUnknown(what: string): void {
    if (this.unknown.length < MAX_UNKNOWN) this.unknown.push(what);
  }
}

/** The root table of a file, and what reading it found out. */
export interface Root<T> {
  readonly value: T;
  /** Parts that this program does not know, by their path. */
  readonly unknown: readonly string[];
  /** One past the last byte that the flatbuffer uses. */
  readonly end: number;
}

/** @throws ModelError */
export function readRoot<T>(bytes: Uint8Array, name: string, read: ReadTable<T>): Root<T> {
  const source = new Source(bytes);
  const place = { outer: undefined, name, index: undefined };
  source.claim(0, 8, place);
  const value = read(new Table(source, follow(source, 0, place), place));
  return { value, unknown: source.unknown, end: source.end };
}

export class Table {
  private readonly source: Source;
  private readonly start: number;
  private readonly vtable: number;
  /** Bytes of the vtable and of the table itself. */
  private readonly vtableBytes: number;
  private readonly tableBytes: number;
  private readonly place: Place;

  constructor(source: Source, start: number, place: Place) {
    source.claim(start, 4, place);
    const vtable = start - source.view.getInt32(start, true);
    if (vtable < 0) throw malformed(`a vtable at ${vtable}`, start, place);
    source.claim(vtable, 4, place);
    this.vtableBytes = source.view.getUint16(vtable, true);
    this.tableBytes = source.view.getUint16(vtable + 2, true);
    if (this.vtableBytes < 4 || this.vtableBytes % 2 !== 0) {
      throw malformed(`a vtable of ${this.vtableBytes} bytes`, vtable, place);
    }
    if (this.tableBytes < 4) throw malformed(`a table of ${this.tableBytes} bytes`, vtable, place);
    source.claim(vtable, this.vtableBytes, place);
    source.claim(start, this.tableBytes, place);
    source.spend(this.tableBytes, start, place);
    this.source = source;
    this.start = start;
    this.vtable = vtable;
    this.place = place;
  }

  /** Notes fields behind those that the schema knows. */
  expect(slots: number): void {
    for (let at = 4 + 2 * slots; at < this.vtableBytes; at += 2) {
      if (this.source.view.getUint16(this.vtable + at, true) === 0) continue;
      this.source.noteUnknown(`field ${(at - 4) / 2} of ${pathOf(this.place)}`);
    }
  }

  bool(slot: number, name: string, absent: boolean): boolean {
    const at = this.field(slot, name, 1);
    return at === undefined ? absent : this.source.view.getUint8(at) !== 0;
  }

  int8(slot: number, name: string, absent: number): number {
    const at = this.field(slot, name, 1);
    return at === undefined ? absent : this.source.view.getInt8(at);
  }

  int32(slot: number, name: string, absent: number): number {
    const at = this.field(slot, name, 4);
    return at === undefined ? absent : this.source.view.getInt32(at, true);
  }

  uint32(slot: number, name: string, absent: number): number {
    const at = this.field(slot, name, 4);
    return at === undefined ? absent : this.source.view.getUint32(at, true);
  }

  float(slot: number, name: string, absent: number): number {
    const at = this.field(slot, name, 4);
    return at === undefined ? absent : this.source.view.getFloat32(at, true);
  }

  long(slot: number, name: string, absent: bigint): bigint {
    const at = this.field(slot, name, 8);
    return at === undefined ? absent : this.source.view.getBigInt64(at, true);
  }

  uint64(slot: number, name: string, absent: number): number {
    const at = this.field(slot, name, 8);
    if (at === undefined) return absent;
    return safe(this.source.view.getBigUint64(at, true), at, this.inner(name));
  }

  string(slot: number, name: string): string | undefined {
    const bytes = this.bytes(slot, name, 1);
    if (bytes === undefined) return undefined;
    const at = bytes.byteOffset - this.source.bytes.byteOffset;
    const place = this.inner(name);
    if (bytes.length > MAX_TEXT_BYTES) throw limit('a text', MAX_TEXT_BYTES, at, place);
    if (this.source.view.getUint8(at + bytes.length) !== 0) {
      throw malformed('a text without its end', at, place);
    }
    this.source.spend(bytes.length, at, place);
    // Replacement characters would make different names equal.
    if (!isUtf8(bytes)) throw malformed('a text that is not UTF-8', at, place);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  }

  /** A view on the file, not a copy; `behind` more bytes must follow it. */
  bytes(slot: number, name: string, behind = 0): Uint8Array | undefined {
    const found = this.vector(slot, name, 1, behind);
    return found && this.source.bytes.subarray(found.at, found.at + found.length);
  }

  bools(slot: number, name: string): readonly boolean[] | undefined {
    return this.list(slot, name, 1, (view, at) => view.getUint8(at) !== 0);
  }

  int32s(slot: number, name: string): readonly number[] | undefined {
    return this.list(slot, name, 4, (view, at) => view.getInt32(at, true));
  }

  uint32s(slot: number, name: string): readonly number[] | undefined {
    return this.list(slot, name, 4, (view, at) => view.getUint32(at, true));
  }

  floats(slot: number, name: string): readonly number[] | undefined {
    return this.list(slot, name, 4, (view, at) => view.getFloat32(at, true));
  }

  longs(slot: number, name: string): readonly bigint[] | undefined {
    return this.list(slot, name, 8, (view, at) => view.getBigInt64(at, true));
  }

  int64s(slot: number, name: string): readonly number[] | undefined {
    return this.list(slot, name, 8, (view, at) =>
      safe(view.getBigInt64(at, true), at, this.inner(name)),
    );
  }

  int32Array(slot: number, name: string): Int32Array | undefined {
    const bytes = this.packed(slot, name, 4);
    return bytes && new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  }

  uint16Array(slot: number, name: string): Uint16Array | undefined {
    const bytes = this.packed(slot, name, 2);
    return bytes && new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  }

  table<T>(slot: number, name: string, read: ReadTable<T>): T | undefined {
    const at = this.field(slot, name, 4);
    if (at === undefined) return undefined;
    const place = this.inner(name);
    return read(new Table(this.source, follow(this.source, at, place), place));
  }

  tables<T>(slot: number, name: string, read: ReadTable<T>): readonly T[] | undefined {
    return this.list(slot, name, 4, (_, at, index) => {
      const place = { outer: this.place, name, index };
      return read(new Table(this.source, follow(this.source, at, place), place));
    });
  }

  /** A table of one of several kinds; the slot before it holds which one, 0 for none. */
  union<T>(slot: number, name: string, kinds: readonly ReadTable<T>[]): T | undefined {
    const kindAt = this.field(slot, name, 1);
    const kind = kindAt === undefined ? 0 : this.source.view.getUint8(kindAt);
    const at = this.field(slot + 1, name, 4);
    if (kind === 0 || at === undefined) return undefined;
    const place = this.inner(name);
    const read = kinds[kind - 1];
    const table = new Table(this.source, follow(this.source, at, place), place);
    if (read !== undefined) return read(table);
    this.source.noteUnknown(`kind ${kind} of ${pathOf(place)}`);
    return undefined;
  }

  /** Where a field of the table lies, or undefined where the table has none. */
  private field(slot: number, name: string, size: number): number | undefined {
    const entry = 4 + 2 * slot;
    if (entry >= this.vtableBytes) return undefined;
    const offset = this.source.view.getUint16(this.vtable + entry, true);
    if (offset === 0) return undefined;
    if (offset < 4 || offset + size > this.tableBytes) {
      throw malformed(`a field outside its table`, this.start, this.inner(name));
    }
    return this.start + offset;
  }

  private vector(
    slot: number,
    name: string,
    size: number,
    behind: number,
  ): { readonly at: number; readonly length: number } | undefined {
    const field = this.field(slot, name, 4);
    if (field === undefined) return undefined;
    const place = this.inner(name);
    const start = follow(this.source, field, place);
    this.source.claim(start, 4, place);
    const length = this.source.view.getUint32(start, true);
    this.source.claim(start + 4, length * size + behind, place);
    return { at: start + 4, length };
  }

  private list<T>(
    slot: number,
    name: string,
    size: number,
    one: (view: DataView, at: number, index: number) => T,
  ): readonly T[] | undefined {
    const found = this.vector(slot, name, size, 0);
    if (found === undefined) return undefined;
    const { at, length } = found;
    this.source.spendList(length, size, at, this.inner(name));
    const values: T[] = [];
    for (let index = 0; index < length; index++) {
      values.push(one(this.source.view, at + index * size, index));
    }
    return values;
  }

  /** The bytes of numbers; a copy only where a typed array could not lie on them. */
  private packed(slot: number, name: string, size: number): Uint8Array | undefined {
    const found = this.vector(slot, name, size, 0);
    if (found === undefined) return undefined;
    const { at, length } = found;
    const bytes = this.source.bytes.subarray(at, at + length * size);
    if (bytes.byteOffset % size === 0) return bytes;
    this.source.spend(bytes.length, at, this.inner(name));
    return new Uint8Array(bytes);
  }

  private inner(name: string): Place {
    return { outer: this.place, name, index: undefined };
  }
}

/** Where the offset at `at` leads. */
function follow(source: Source, at: number, place: Place): number {
  const offset = source.view.getUint32(at, true);
  // Shorter ones would point into the offset itself.
  if (offset < 4) throw malformed(`an offset of ${offset}`, at, place);
  return at + offset;
}

function safe(value: bigint, at: number, place: Place): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw malformed(`the number ${value}`, at, place);
  return number;
}

/** `subgraphs[0].operators[3].inputs`; the root only where nothing else is left to name. */
function pathOf(place: Place): string {
  const parts: string[] = [];
  for (let at: Place | undefined = place; at !== undefined; at = at.outer) {
    if (at.outer === undefined && parts.length > 0) break;
    parts.unshift(at.index === undefined ? at.name : `${at.name}[${at.index}]`);
  }
  return parts.join('.');
}

function malformed(what: string, offset: number, place: Place): ModelError {
  return new ModelError(
    'MALFORMED',
    `not a valid TFLite file: ${what} in ${pathOf(place)} at byte ${offset}`,
  );
}

function limit(what: string, most: number, offset: number, place: Place): ModelError {
  return new ModelError('LIMIT', `${what} in ${pathOf(place)} exceeds ${most} at byte ${offset}`);
}
