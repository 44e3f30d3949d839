import { bytesOf } from '../bytes.ts';

/** Writes the protobuf wire format (protobuf.dev, "Encoding"). */

/** Byte fields larger than this are handed on as views instead of being copied. */
const COPY_LIMIT = 4096;
const CHUNK_BYTES = 1024;

type VarintArray = Int32Array | BigInt64Array | BigUint64Array;

/** Collects chunks; large byte fields stay views, so writing costs no second copy of the weights. */
export class Writer {
  readonly chunks: Uint8Array[] = [];
  length = 0;
  private open = new Uint8Array(CHUNK_BYTES);
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
    if (values !== undefined) this.bytes(field, packed(values));
  }

  longs(field: number, values: BigInt64Array | undefined): void {
    if (values !== undefined) this.bytes(field, packed(values));
  }

  ulongs(field: number, values: BigUint64Array | undefined): void {
    if (values !== undefined) this.bytes(field, packed(values));
  }

  message<T>(field: number, value: T, write: (writer: Writer, value: T) => void): void {
    const inner = new Writer();
    write(inner, value);
    this.key(field, 2);
    this.varint(BigInt(inner.length));
    for (const chunk of inner.finish()) this.raw(chunk);
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
    this.open = new Uint8Array(CHUNK_BYTES);
    this.used = 0;
  }
}

/** The numbers as one block of varints; an int32 below zero is sign-extended to ten bytes. */
function packed(values: VarintArray): Uint8Array {
  const wide = values.BYTES_PER_ELEMENT === 8;
  const halves = new Uint32Array(values.buffer, values.byteOffset, values.byteLength / 4);
  const step = wide ? 2 : 1;
  const high = (at: number, low: number) => (wide ? (halves[at + 1] ?? 0) : (low >> 31) >>> 0);
  let size = 0;
  for (let at = 0; at < halves.length; at += step) {
    const low = halves[at] ?? 0;
    size += varintSize(low, high(at, low));
  }
  const block = new Uint8Array(size);
  let used = 0;
  for (let at = 0; at < halves.length; at += step) {
    let low = halves[at] ?? 0;
    let top = high(at, low);
    while (top !== 0 || low > 0x7f) {
      block[used++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (top << 25)) >>> 0;
      top >>>= 7;
    }
    block[used++] = low;
  }
  return block;
}

function varintSize(low: number, high: number): number {
  const bits = high === 0 ? 32 - Math.clz32(low) : 64 - Math.clz32(high);
  return Math.max(1, Math.ceil(bits / 7));
}
