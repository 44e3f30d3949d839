/** One message's values: for each a number of the metric (2 bytes) and a double. NaN stands for null. */
export type RawValue = readonly [metric: number, value: number];

/** What is kept of one metric in one step. */
export interface RolledValue {
  readonly metric: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  /** Of values; 0: it could not be read all that time. */
  readonly count: number;
}

const RAW_BYTES = 10;
const ROLLED_BYTES = 30;

export function encodeRaw(values: readonly RawValue[]): Buffer {
  const bytes = Buffer.alloc(values.length * RAW_BYTES);
  for (const [at, [metric, value]] of values.entries()) {
    bytes.writeUInt16BE(metric, at * RAW_BYTES);
    bytes.writeDoubleBE(value, at * RAW_BYTES + 2);
  }
  return bytes;
}

export function decodeRaw(bytes: Buffer): RawValue[] {
  const values: RawValue[] = [];
  for (let at = 0; at + RAW_BYTES <= bytes.length; at += RAW_BYTES) {
    values.push([bytes.readUInt16BE(at), bytes.readDoubleBE(at + 2)]);
  }
  return values;
}

export function encodeRolled(values: readonly RolledValue[]): Buffer {
  const bytes = Buffer.alloc(values.length * ROLLED_BYTES);
  for (const [index, { metric, sum, min, max, count }] of values.entries()) {
    const at = index * ROLLED_BYTES;
    bytes.writeUInt16BE(metric, at);
    bytes.writeDoubleBE(sum, at + 2);
    bytes.writeDoubleBE(min, at + 10);
    bytes.writeDoubleBE(max, at + 18);
    bytes.writeUInt32BE(count, at + 26);
  }
  return bytes;
}

export function decodeRolled(bytes: Buffer): RolledValue[] {
  const values: RolledValue[] = [];
  for (let at = 0; at + ROLLED_BYTES <= bytes.length; at += ROLLED_BYTES) {
    values.push({
      metric: bytes.readUInt16BE(at),
      sum: bytes.readDoubleBE(at + 2),
      min: bytes.readDoubleBE(at + 10),
      max: bytes.readDoubleBE(at + 18),
      count: bytes.readUInt32BE(at + 26),
    });
  }
  return values;
}

/** Two halves of one step: a line for each metric that either has. */
export function mergeRolled(
  before: readonly RolledValue[],
  more: readonly RolledValue[],
): readonly RolledValue[] {
  const merged = new Map(before.map((value) => [value.metric, value]));
  for (const value of more) {
    const known = merged.get(value.metric);
    merged.set(value.metric, known === undefined ? value : added(known, value));
  }
  return [...merged.values()];
}

const added = (a: RolledValue, b: RolledValue): RolledValue => ({
  metric: a.metric,
  sum: a.sum + b.sum,
  min: Math.min(a.min, b.min),
  max: Math.max(a.max, b.max),
  count: a.count + b.count,
});
