import { ModelError } from '../errors.ts';
import { bytesOf } from '../bytes.ts';
import { MAX_FLATBUFFER_BYTES } from './limits.ts';
import { Output } from './output.ts';

/**
 * Writes flatbuffers from the front to the back: a table, then the tables that it refers to. Vectors
 * of numbers and texts follow, each content once. Long byte vectors come last and are handed on as
 * views, so that writing costs no second copy of the weights.
 */

export type WriteTable<T> = (writer: TableWriter, value: T) => void;

interface Scalar {
  readonly slot: number;
  readonly size: 1 | 4 | 8;
  readonly put: (view: DataView, at: number) => void;
}

interface Reference {
  readonly slot: number;
  /** Writes what the field refers to, and `link`s the field to it. */
  readonly write: (output: Output, field: number) => void;
}

/** Everything a table holds, gathered before its layout is decided. */
export class TableWriter {
  private readonly scalars: Scalar[] = [];
  private readonly references: Reference[] = [];

  bool(slot: number, _name: string, value: boolean, absent: boolean): void {
    if (value !== absent) this.scalar(slot, 1, (view, at) => view.setUint8(at, Number(value)));
  }

  int8(slot: number, name: string, value: number, absent: number): void {
    check(name, value, -(2 ** 7), 2 ** 7 - 1);
    if (value !== absent) this.scalar(slot, 1, (view, at) => view.setInt8(at, value));
  }

  int32(slot: number, name: string, value: number, absent: number): void {
    checkInt32(name, value);
    if (value !== absent) this.scalar(slot, 4, (view, at) => view.setInt32(at, value, true));
  }

  uint32(slot: number, name: string, value: number, absent: number): void {
    checkUint32(name, value);
    if (value !== absent) this.scalar(slot, 4, (view, at) => view.setUint32(at, value, true));
  }

  /** Not compared with `===`: -0 is not what an absent field means. */
  float(slot: number, _name: string, value: number, absent: number): void {
    if (Object.is(value, absent)) return;
    this.scalar(slot, 4, (view, at) => view.setFloat32(at, value, true));
  }

  long(slot: number, name: string, value: bigint, absent: bigint): void {
    checkLong(name, value);
    if (value !== absent) this.scalar(slot, 8, (view, at) => view.setBigInt64(at, value, true));
  }

  uint64(slot: number, name: string, value: number, absent: number): void {
    check(name, value, 0, Number.MAX_SAFE_INTEGER);
    if (value === absent) return;
    this.scalar(slot, 8, (view, at) => view.setBigUint64(at, BigInt(value), true));
  }

  string(slot: number, _name: string, value: string | undefined): void {
    if (value === undefined) return;
    const text = Buffer.from(`${value}\0`, 'utf8');
    this.refer(slot, (output, field) => output.leaf(field, text.length - 1, text, 1));
  }

  bytes(slot: number, _name: string, value: Uint8Array | undefined, align: number): void {
    if (value === undefined) return;
    this.refer(slot, (output, field) => output.bytes(field, value, align));
  }

  typed(slot: number, _name: string, value: Int32Array | Uint16Array | undefined): void {
    if (value === undefined) return;
    // The format asks for multiples of four, also where the numbers are shorter.
    this.refer(slot, (output, field) => output.leaf(field, value.length, bytesOf(value), 4));
  }

  bools(slot: number, _name: string, values: readonly boolean[] | undefined): void {
    this.list(slot, values, 1, (view, at, value) => view.setUint8(at, Number(value)));
  }

  int32s(slot: number, name: string, values: readonly number[] | undefined): void {
    values?.forEach((value) => checkInt32(name, value));
    this.list(slot, values, 4, (view, at, value) => view.setInt32(at, value, true));
  }

  uint32s(slot: number, name: string, values: readonly number[] | undefined): void {
    values?.forEach((value) => checkUint32(name, value));
    this.list(slot, values, 4, (view, at, value) => view.setUint32(at, value, true));
  }

  floats(slot: number, _name: string, values: readonly number[] | undefined): void {
    this.list(slot, values, 4, (view, at, value) => view.setFloat32(at, value, true));
  }

  longs(slot: number, name: string, values: readonly bigint[] | undefined): void {
    values?.forEach((value) => checkLong(name, value));
    this.list(slot, values, 8, (view, at, value) => view.setBigInt64(at, value, true));
  }

  int64s(slot: number, name: string, values: readonly number[] | undefined): void {
    values?.forEach((value) =>
      check(name, value, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    );
    this.list(slot, values, 8, (view, at, value) => view.setBigInt64(at, BigInt(value), true));
  }

  table<T>(slot: number, _name: string, value: T | undefined, write: WriteTable<T>): void {
    if (value === undefined) return;
    this.refer(slot, (output, field) => writeTable(output, field, value, write));
  }

  tables<T>(
    slot: number,
    _name: string,
    values: readonly T[] | undefined,
    write: WriteTable<T>,
  ): void {
    if (values === undefined) return;
    this.refer(slot, (output, field) => {
      output.beginVector(field, values.length, 4);
      const first = output.zeros(4 * values.length);
      values.forEach((value, index) => writeTable(output, first + 4 * index, value, write));
    });
  }

  /** `write` returns the number of the kind, which stands in the slot before the table. */
  union<T>(
    slot: number,
    _name: string,
    value: T | undefined,
    write: (writer: TableWriter, value: T) => number,
  ): void {
    if (value === undefined) return;
    const inner = new TableWriter();
    const kind = write(inner, value);
    this.scalar(slot, 1, (view, at) => view.setUint8(at, kind));
    this.refer(slot + 1, (output, field) => inner.writeTo(output, field));
  }

  /** Lays the table out, widest fields first, and writes it and all that it refers to. */
  writeTo(output: Output, field: number): void {
    const references = this.references.map(({ slot }) => ({ slot, size: 4 as const, put: keep }));
    const fields = [...this.scalars, ...references].toSorted(
      (one, other) => other.size - one.size || one.slot - other.slot,
    );
    const wide = fields.some(({ size }) => size === 8);
    const places: number[] = [];
    let end = wide ? 8 : 4;
    for (const { slot, size } of fields) {
      places[slot] = end;
      end += size;
    }
    const start = output.beginTable(field, places, end, wide ? 8 : 4);
    for (const { slot, put } of fields) put(output.view, start + (places[slot] ?? 0));
    for (const { slot, write } of this.references) write(output, start + (places[slot] ?? 0));
  }

  private scalar(slot: number, size: 1 | 4 | 8, put: Scalar['put']): void {
    this.scalars.push({ slot, size, put });
  }

  private refer(slot: number, write: Reference['write']): void {
    this.references.push({ slot, write });
  }

  private list<T>(
    slot: number,
    values: readonly T[] | undefined,
    size: number,
    put: (view: DataView, at: number, value: T) => void,
  ): void {
    if (values === undefined) return;
    const bytes = new Uint8Array(size * values.length);
    const view = new DataView(bytes.buffer);
    values.forEach((value, index) => put(view, size * index, value));
    this.refer(slot, (output, field) => output.leaf(field, values.length, bytes, size));
  }
}

/** A reference is put in when what it refers to has a place. */
const keep = () => {};

function writeTable<T>(output: Output, field: number, value: T, write: WriteTable<T>): void {
  const inner = new TableWriter();
  write(inner, value);
  inner.writeTo(output, field);
}

/**
 * A whole flatbuffer in pieces, most of them views on what `value` holds.
 * @throws ModelError when a number does not fit its field, or the flatbuffer would be too long
 */
export function writeRoot<T>(
  value: T,
  identifier: string,
  write: WriteTable<T>,
): readonly Uint8Array[] {
  const output = new Output();
  const root = output.zeros(4);
  output.append(Buffer.from(identifier, 'latin1'));
  writeTable(output, root, value, write);
  const pieces = output.finish();
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (length > MAX_FLATBUFFER_BYTES) {
    throw new ModelError('LIMIT', `${length} bytes; a flatbuffer ends at ${MAX_FLATBUFFER_BYTES}`);
  }
  return pieces;
}

function check(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new ModelError('MALFORMED', `${name} cannot be ${value} in a TFLite file`);
}

const checkInt32 = (name: string, value: number) => check(name, value, -(2 ** 31), 2 ** 31 - 1);
const checkUint32 = (name: string, value: number) => check(name, value, 0, 2 ** 32 - 1);

function checkLong(name: string, value: bigint): void {
  if (BigInt.asIntN(64, value) === value) return;
  throw new ModelError('MALFORMED', `${name} cannot be ${value} in a TFLite file`);
}
