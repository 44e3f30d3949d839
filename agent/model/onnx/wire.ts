import { ModelError } from '../errors.ts';
import { MAX_DEPTH, MAX_REPEATED, MAX_TEXT_BYTES } from './limits.ts';

/**
 * The protobuf wire format (protobuf.dev, "Encoding"). Byte fields are views on the file, errors
 * name the offset, and fields nobody asked for keep their exact bytes.
 */

export interface Tag {
  readonly field: number;
  readonly wire: number;
  /** Offset of the tag itself. */
  readonly start: number;
}

const WIRE_NAMES = ['varint', '64-bit', 'length-delimited', 'group', 'end of group', '32-bit'];

export class Reader {
  private at: number;
  private end: number;
  private depth = 0;
  private path = 'ModelProto';
  private readonly bytesOfFile: Uint8Array;
  private readonly view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytesOfFile = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
    this.end = bytes.length;
  }

  /** The next field's tag, or undefined at the end of this message. */
  tag(): Tag | undefined {
    if (this.at === this.end) return undefined;
    const start = this.at;
    const key = this.varint();
    const field = Number(key >> 3n);
    if (field === 0 || field > 0x1fffffff) throw this.malformed(`field number ${field}`, start);
    return { field, wire: Number(key & 7n), start };
  }

  string(wire: number): string {
    const start = this.at;
    const bytes = this.bytes(wire);
    if (bytes.length > MAX_TEXT_BYTES) throw this.limit('a text', MAX_TEXT_BYTES, start);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  }

  /** A view on the file, not a copy. */
  bytes(wire: number): Uint8Array {
    this.expect(wire, 2);
    const length = this.length();
    const bytes = this.bytesOfFile.subarray(this.at, this.at + length);
    this.at += length;
    return bytes;
  }

  float(wire: number): number {
    this.expect(wire, 5);
    const start = this.need(4);
    return this.view.getFloat32(start, true);
  }

  long(wire: number): bigint {
    this.expect(wire, 0);
    return BigInt.asIntN(64, this.varint());
  }

  int(wire: number): number {
    const start = this.at;
    const value = Number(this.long(wire));
    if (!Number.isSafeInteger(value)) throw this.malformed(`the number ${value}`, start);
    return value;
  }

  /** Calls `one` for each element of a repeated number, packed into one block or not. */
  repeated(wire: number, one: (wire: number) => number, elementWire: number): void {
    if (wire !== 2) {
      if (one(wire) > MAX_REPEATED) throw this.limit('a list', MAX_REPEATED, this.at);
      return;
    }
    this.within(() => {
      while (this.at < this.end) {
        if (one(elementWire) > MAX_REPEATED) throw this.limit('a list', MAX_REPEATED, this.at);
      }
    });
  }

  floats(wire: number, before?: Float32Array): Float32Array {
    return this.fixed(wire, before, 4, 5, (bytes) => new Float32Array(bytes));
  }

  doubles(wire: number, before?: Float64Array): Float64Array {
    return this.fixed(wire, before, 8, 1, (bytes) => new Float64Array(bytes));
  }

  int32s(wire: number, before?: Int32Array): Int32Array {
    const values = this.varints(wire).map(Number);
    return Int32Array.from([...(before ?? []), ...values]);
  }

  longs(wire: number, before?: BigInt64Array): BigInt64Array {
    return BigInt64Array.from([...(before ?? []), ...this.varints(wire)]);
  }

  ulongs(wire: number, before?: BigUint64Array): BigUint64Array {
    const values = this.varints(wire).map((value) => BigInt.asUintN(64, value));
    return BigUint64Array.from([...(before ?? []), ...values]);
  }

  message<T>(wire: number, name: string, read: (reader: Reader) => T): T {
    this.expect(wire, 2);
    const outer = this.path;
    if (++this.depth > MAX_DEPTH) throw this.limit('nesting', MAX_DEPTH, this.at);
    this.path = name;
    const message = this.within(() => read(this));
    this.path = outer;
    this.depth--;
    return message;
  }

  /** Passes over a field and returns its bytes, tag included. */
  skip(tag: Tag): Uint8Array {
    if (tag.wire === 0) this.varint();
    else if (tag.wire === 1) this.need(8);
    else if (tag.wire === 2) this.bytes(2);
    else if (tag.wire === 5) this.need(4);
    else throw this.malformed(`wire type ${tag.wire}`, tag.start);
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

  private varints(wire: number): bigint[] {
    if (wire === 0) return [BigInt.asIntN(64, this.varint())];
    this.expect(wire, 2);
    const values: bigint[] = [];
    this.within(() => {
      while (this.at < this.end) values.push(BigInt.asIntN(64, this.varint()));
    });
    return values;
  }

  private fixed<T extends Float32Array | Float64Array>(
    wire: number,
    before: T | undefined,
    size: number,
    elementWire: number,
    make: (bytes: ArrayBuffer) => T,
  ): T {
    const start = this.at;
    if (wire === elementWire) this.need(size);
    else this.bytes(wire);
    const from = wire === elementWire ? start : this.at - this.blockLength(start);
    const block = this.bytesOfFile.subarray(from, this.at);
    if (block.length % size !== 0) throw this.malformed(`${block.length} bytes of numbers`, start);
    const head = before === undefined ? new Uint8Array(0) : bytesOf(before);
    const joined = new Uint8Array(head.length + block.length);
    joined.set(head);
    joined.set(block, head.length);
    return make(joined.buffer);
  }

  /** Length of the block that starts with its length at `start` and ends here. */
  private blockLength(start: number): number {
    let lengthBytes = 1;
    while ((this.bytesOfFile[start + lengthBytes - 1] ?? 0) & 0x80) lengthBytes++;
    return this.at - start - lengthBytes;
  }

  private length(): number {
    const start = this.at;
    const length = this.varint();
    if (length > BigInt(this.end - this.at)) {
      const left = this.end - this.at;
      throw this.truncated(`${length} bytes announced, ${left} left`, start);
    }
    return Number(length);
  }

  private need(count: number): number {
    const start = this.at;
    if (this.end - start < count) throw this.truncated(`${count} bytes wanted`, start);
    this.at += count;
    return start;
  }

  private varint(): bigint {
    const start = this.at;
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte(start);
      low += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return BigInt(low);
    }
    let value = BigInt(low);
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.byte(start);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw this.malformed('a number longer than ten bytes', start);
  }

  private byte(start: number): number {
    if (this.at >= this.end) throw this.truncated('a number is cut off', start);
    return this.bytesOfFile[this.at++] ?? 0;
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

function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** Byte fields larger than this are handed on as views instead of being copied. */
const COPY_LIMIT = 4096;

/** Collects chunks; large byte fields stay views, so writing costs no second copy of the weights. */
export class Writer {
  readonly chunks: Uint8Array[] = [];
  length = 0;
  private open = new Uint8Array(1024);
  private used = 0;

  /** All that was written, in order. */
  finish(): readonly Uint8Array[] {
    this.flush();
    return this.chunks;
  }

  string(field: number, value: string): void {
    this.bytes(field, Buffer.from(value, 'utf8'));
  }

  bytes(field: number, value: Uint8Array): void {
    this.key(field, 2);
    this.varint(BigInt(value.length));
    this.raw(value);
  }

  float(field: number, value: number): void {
    this.key(field, 5);
    this.raw(bytesOf(Float32Array.of(value)));
  }

  int(field: number, value: number): void {
    this.long(field, BigInt(value));
  }

  long(field: number, value: bigint): void {
    this.key(field, 0);
    this.varint(BigInt.asUintN(64, value));
  }

  floats(field: number, values: Float32Array | undefined): void {
    if (values !== undefined) this.bytes(field, bytesOf(values));
  }

  doubles(field: number, values: Float64Array | undefined): void {
    if (values !== undefined) this.bytes(field, bytesOf(values));
  }

  int32s(field: number, values: Int32Array | undefined): void {
    if (values !== undefined) this.packed(field, Array.from(values, BigInt));
  }

  longs(field: number, values: BigInt64Array | undefined): void {
    if (values !== undefined) this.packed(field, values);
  }

  ulongs(field: number, values: BigUint64Array | undefined): void {
    if (values !== undefined) this.packed(field, values);
  }

  message<T>(field: number, value: T, write: (writer: Writer, value: T) => void): void {
    const inner = new Writer();
    write(inner, value);
    this.block(field, inner);
  }

  /** Bytes as they are, e.g. a field that was kept unread. */
  raw(bytes: Uint8Array): void {
    if (bytes.length > COPY_LIMIT) {
      this.flush();
      this.chunks.push(bytes);
    } else {
      this.reserve(bytes.length);
      this.open.set(bytes, this.used);
      this.used += bytes.length;
    }
    this.length += bytes.length;
  }

  private packed(field: number, values: Iterable<bigint>): void {
    const inner = new Writer();
    for (const value of values) inner.varint(BigInt.asUintN(64, value));
    this.block(field, inner);
  }

  private block(field: number, inner: Writer): void {
    this.key(field, 2);
    this.varint(BigInt(inner.length));
    for (const chunk of inner.finish()) this.raw(chunk);
  }

  private key(field: number, wire: number): void {
    this.varint(BigInt(field * 8 + wire));
  }

  private varint(value: bigint): void {
    this.reserve(10);
    let rest = value;
    while (rest >= 0x80n) {
      this.open[this.used++] = Number(rest & 0x7fn) | 0x80;
      this.length++;
      rest >>= 7n;
    }
    this.open[this.used++] = Number(rest);
    this.length++;
  }

  private reserve(count: number): void {
    if (this.used + count <= this.open.length) return;
    this.flush();
    if (count > this.open.length) this.open = new Uint8Array(count);
  }

  private flush(): void {
    if (this.used === 0) return;
    this.chunks.push(this.open.subarray(0, this.used));
    this.open = new Uint8Array(1024);
    this.used = 0;
  }
}
