import { isUtf8 } from 'node:buffer';
import { ModelError } from '../errors.ts';
import { bytesOf } from '../bytes.ts';
import { MAX_DEPTH, MAX_ITEMS, MAX_NUMBERS, MAX_REPEATED, MAX_TEXT_BYTES } from './limits.ts';

/**
 * Reads the protobuf wire format (protobuf.dev, "Encoding"). Byte fields are views on the file,
 * errors name the offset, and fields nobody asked for keep their exact bytes.
 */

export interface Tag {
  readonly field: number;
  readonly wire: number;
  /** Offset of the tag itself. */
  readonly start: number;
}

type Numbers = Float32Array | Float64Array | Int32Array | BigInt64Array | BigUint64Array;

interface NumbersClass<T extends Numbers> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
}

const WIRE_NAMES = ['varint', '64-bit', 'length-delimited', 'group', 'end of group', '32-bit'];
const VARINT = 0;
const FIXED64 = 1;
const BLOCK = 2;
const FIXED32 = 5;

const MAX_FIELD = 0x1fffffff;
const TWO_32 = 2 ** 32;

export class Reader {
  private at = 0;
  private end: number;
  private depth = 0;
  private items = 0;
  private path = 'ModelProto';
  private tagStart = 0;
  /** The last varint, as two unsigned halves. */
  private low = 0;
  private high = 0;
  private readonly bytesOfFile: Uint8Array;
  private readonly view: DataView;
  /** Buffers made here for lists that come in pieces; they have room to grow. */
  private readonly growing = new WeakSet<ArrayBufferLike>();

  constructor(bytes: Uint8Array) {
    this.bytesOfFile = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.end = bytes.length;
  }

  /** The next field's tag, or undefined at the end of this message. */
  tag(): Tag | undefined {
    if (this.at === this.end) return undefined;
    const start = this.at;
    this.tagStart = start;
    this.varint();
    const field = this.high * 2 ** 29 + Math.floor(this.low / 8);
    if (field === 0 || field > MAX_FIELD) throw this.malformed(`field number ${field}`, start);
    return { field, wire: this.low & 7, start };
  }

  string(wire: number): string {
    const start = this.at;
    const bytes = this.bytes(wire);
    if (bytes.length > MAX_TEXT_BYTES) throw this.limit('a text', MAX_TEXT_BYTES, start);
    // Replacement characters would make different names equal.
    if (!isUtf8(bytes)) throw this.malformed('a text that is not UTF-8', start);
    this.count();
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  }

  /** A view on the file, not a copy. */
  bytes(wire: number): Uint8Array {
    this.expect(wire, BLOCK);
    const length = this.length();
    const bytes = this.bytesOfFile.subarray(this.at, this.at + length);
    this.at += length;
    return bytes;
  }

  float(wire: number): number {
    this.expect(wire, FIXED32);
    return this.view.getFloat32(this.need(4), true);
  }

  long(wire: number): bigint {
    this.expect(wire, VARINT);
    this.varint();
    const unsigned = (BigInt(this.high) << 32n) | BigInt(this.low);
    return BigInt.asIntN(64, unsigned);
  }

  int(wire: number): number {
    this.expect(wire, VARINT);
    const start = this.at;
    this.varint();
    const value = (this.high | 0) * TWO_32 + this.low;
    if (!Number.isSafeInteger(value)) throw this.malformed(`the number ${value}`, start);
    return value;
  }

  /**
   * Calls `one`, which returns the length of its list, for each element of a repeated field.
   * Numbers may stand packed in one block, whatever the declaration says.
   */
  repeated(wire: number, one: (wire: number) => number, elementWire: number): void {
    if (wire !== BLOCK || elementWire === BLOCK) {
      this.element(one(wire));
      return;
    }
    this.within(() => {
      while (this.at < this.end) this.element(one(elementWire));
    });
  }

  floats(wire: number, before?: Float32Array): Float32Array {
    return this.fixed(wire, before, FIXED32, Float32Array);
  }

  doubles(wire: number, before?: Float64Array): Float64Array {
    return this.fixed(wire, before, FIXED64, Float64Array);
  }

  int32s(wire: number, before?: Int32Array): Int32Array {
    return this.varints(wire, before, Int32Array);
  }

  longs(wire: number, before?: BigInt64Array): BigInt64Array {
    return this.varints(wire, before, BigInt64Array);
  }

  ulongs(wire: number, before?: BigUint64Array): BigUint64Array {
    return this.varints(wire, before, BigUint64Array);
  }

  /**
   * A message. `before` is what the field held until now: protobuf would merge the two, a reader
   * that takes the last one would see another model, so a second one is refused.
   */
  message<T>(wire: number, name: string, read: (reader: Reader) => T, before?: T): T {
    this.expect(wire, BLOCK);
    if (before !== undefined) throw this.malformed(`a second ${name}`, this.at);
    if (this.depth >= MAX_DEPTH) throw this.limit('nesting', MAX_DEPTH, this.at);
    const outer = this.path;
    this.count();
    this.depth++;
    this.path = name;
    const message = this.within(() => read(this));
    this.path = outer;
    this.depth--;
    return message;
  }

  /** Passes over a field and returns its bytes, tag included. */
  skip(tag: Tag): Uint8Array {
    this.count();
    if (tag.wire === VARINT) this.varint();
    else if (tag.wire === FIXED64) this.need(8);
    else if (tag.wire === BLOCK) this.bytes(BLOCK);
    else if (tag.wire === FIXED32) this.need(4);
    else {
      const found = WIRE_NAMES[tag.wire] ?? `wire type ${tag.wire}`;
      throw this.malformed(`${found} in field ${tag.field}`, tag.start);
    }
    return this.bytesOfFile.subarray(tag.start, this.at);
  }

  private within<T>(read: () => T): T {
    const length = this.length();
    const outerEnd = this.end;
    this.end = this.at + length;
    const value = read();
    this.end = outerEnd;
    return value;
  }

  private element(length: number): void {
    this.count();
    if (length > MAX_REPEATED) throw this.limit('a list', MAX_REPEATED, this.at);
  }

  private count(): void {
    if (++this.items > MAX_ITEMS) throw this.limit('the number of parts', MAX_ITEMS, this.at);
  }

  private varints<T extends Numbers>(
    wire: number,
    before: T | undefined,
    make: NumbersClass<T>,
  ): T {
    if (wire !== BLOCK) {
      this.expect(wire, VARINT);
      return this.take(before, make, this.run(this.endOfVarint), 1);
    }
    return this.within(() => {
      let count = 0;
      for (let at = this.at; at < this.end; at = this.endOfVarint(at)) count++;
      return this.take(before, make, count, 0);
    });
  }

  /** Reads `count` varints behind what `before` holds, with `gap` bytes between them. */
  private take<T extends Numbers>(
    before: T | undefined,
    make: NumbersClass<T>,
    count: number,
    gap: number,
  ): T {
    const joined = this.extended(before, make, count);
    const halves = new Uint32Array(joined.buffer, joined.byteOffset, joined.byteLength / 4);
    const perElement = make.BYTES_PER_ELEMENT / 4;
    const first = (before?.length ?? 0) * perElement;
    for (let at = first; at < halves.length; at += perElement) {
      if (at > first) this.at += gap;
      this.varint();
      halves[at] = this.low;
      if (perElement === 2) halves[at + 1] = this.high;
    }
    return joined;
  }

  private fixed<T extends Numbers>(
    wire: number,
    before: T | undefined,
    elementWire: number,
    make: NumbersClass<T>,
  ): T {
    if (wire === BLOCK) return this.packed(before, make);
    this.expect(wire, elementWire);
    const size = make.BYTES_PER_ELEMENT;
    const count = this.run((at) => at + size);
    const joined = this.extended(before, make, count);
    const bytes = bytesOf(joined);
    for (let at = bytes.length - count * size; at < bytes.length; at += size) {
      const from = this.need(size);
      for (let byte = 0; byte < size; byte++) bytes[at + byte] = this.bytesOfFile[from + byte] ?? 0;
      if (at + size < bytes.length) this.at++;
    }
    return joined;
  }

  private packed<T extends Numbers>(before: T | undefined, make: NumbersClass<T>): T {
    const size = make.BYTES_PER_ELEMENT;
    const start = this.at;
    const block = this.bytes(BLOCK);
    if (block.length % size !== 0) throw this.malformed(`${block.length} bytes of numbers`, start);
    const count = block.length / size;
    if (before === undefined && block.byteOffset % size === 0) {
      return new make(block.buffer, block.byteOffset, count);
    }
    const joined = this.extended(before, make, count);
    bytesOf(joined).set(block, (before?.length ?? 0) * size);
    return joined;
  }

  /** How many elements of an unpacked list, each behind the same one-byte tag, stand here in a row. */
  private run(behind: (at: number) => number): number {
    const tag = this.bytesOfFile[this.at - 1];
    if (this.tagStart !== this.at - 1) return 1;
    let count = 1;
    for (let at = behind(this.at); at < this.end && this.bytesOfFile[at] === tag; count++) {
      at = behind(at + 1);
    }
    return count;
  }

  /** Every varint ends with the one byte that is below 128. */
  private readonly endOfVarint = (start: number): number => {
    let at = start;
    while (at < this.end && (this.bytesOfFile[at] ?? 0) >= 0x80) at++;
    return at + 1;
  };

  /**
   * `before` and room for `more` elements. A list that comes in pieces lies in a buffer that
   * doubles, so that a million pieces cost no million copies.
   */
  private extended<T extends Numbers>(
    before: T | undefined,
    make: NumbersClass<T>,
    more: number,
  ): T {
    const size = make.BYTES_PER_ELEMENT;
    const length = (before?.length ?? 0) + more;
    if (length > MAX_NUMBERS) throw this.limit('a list of numbers', MAX_NUMBERS, this.at);
    if (before === undefined) return new make(new ArrayBuffer(length * size), 0, length);
    if (this.growing.has(before.buffer) && before.buffer.byteLength >= length * size) {
      return new make(before.buffer, 0, length);
    }
    const buffer = new ArrayBuffer(2 * length * size);
    this.growing.add(buffer);
    new Uint8Array(buffer).set(bytesOf(before));
    return new make(buffer, 0, length);
  }

  private length(): number {
    const start = this.at;
    this.varint();
    const length = this.high * TWO_32 + this.low;
    const left = this.end - this.at;
    if (length > left) throw this.truncated(`${length} bytes announced, ${left} left`, start);
    return length;
  }

  private need(count: number): number {
    const start = this.at;
    if (this.end - start < count) throw this.truncated(`${count} bytes wanted`, start);
    this.at += count;
    return start;
  }

  /** Reads up to 64 bits into `low` and `high`. */
  private varint(): void {
    const start = this.at;
    let low = 0;
    let high = 0;
    for (let index = 0; index < 10; index++) {
      if (this.at >= this.end) throw this.truncated('a number is cut off', start);
      const byte = this.bytesOfFile[this.at++] ?? 0;
      const bits = byte & 0x7f;
      if (index < 4) low |= bits << (7 * index);
      else if (index > 4) high |= bits << (7 * index - 32);
      else {
        low |= bits << 28;
        high = bits >> 4;
      }
      if (byte < 0x80) {
        this.low = low >>> 0;
        this.high = high >>> 0;
        return;
      }
    }
    throw this.malformed('a number longer than ten bytes', start);
  }

  private expect(wire: number, wanted: number): void {
    if (wire === wanted) return;
    const found = WIRE_NAMES[wire] ?? `wire type ${wire}`;
    throw this.malformed(`${found} where ${WIRE_NAMES[wanted]} belongs`, this.at);
  }

  private malformed(what: string, offset: number): ModelError {
    return new ModelError('MALFORMED', `not valid ONNX: ${what} in ${this.path} at byte ${offset}`);
  }

  private truncated(what: string, offset: number): ModelError {
    return new ModelError('TRUNCATED', `cut off: ${what} in ${this.path} at byte ${offset}`);
  }

  private limit(what: string, limit: number, offset: number): ModelError {
    return new ModelError('LIMIT', `${what} in ${this.path} exceeds ${limit} at byte ${offset}`);
  }
}
