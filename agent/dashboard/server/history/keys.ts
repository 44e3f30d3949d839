/**
 * Keys of the embedded history: a byte for the kind, then numbers in big-endian, so that the order of
 * the keys is the order of what they mean. Values are grouped by hour (as they came) or day (rolled
 * up) before the device: what is too old goes as one range, and the oldest of a store that is too
 * large too.
 */
export const KIND = {
  device: 0x01,
  metric: 0x02,
  raw: 0x10,
  rolled: 0x11,
  job: 0x30,
  benchLine: 0x40,
  benchReport: 0x41,
  benchByTime: 0x42,
} as const;

export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;
/** Width of what is kept of a day that is rolled up. */
export const ROLLED_MS = 300_000;

export interface KeyRange {
  readonly gte: Buffer;
  readonly lt: Buffer;
}

function key(kind: number, numbers: readonly number[], text = ''): Buffer {
  const head = Buffer.alloc(1 + numbers.length * 4);
  head.writeUInt8(kind, 0);
  for (const [at, number] of numbers.entries()) head.writeUInt32BE(number, 1 + at * 4);
  return text === '' ? head : Buffer.concat([head, Buffer.from(text)]);
}

export const deviceKey = (name: string): Buffer => key(KIND.device, [], name);
export const metricKey = (name: string): Buffer => key(KIND.metric, [], name);

/** `order` keeps two messages of one millisecond apart. */
export function rawKey(device: number, ts: number, order: number): Buffer {
  return key(KIND.raw, [Math.floor(ts / HOUR_MS), device, ts % HOUR_MS, order]);
}

/** The time that a raw key holds. */
export function rawTime(raw: Buffer): number {
  return raw.readUInt32BE(1) * HOUR_MS + raw.readUInt32BE(9);
}

export const rawDevice = (raw: Buffer): number => raw.readUInt32BE(5);

/** `ts` is the beginning of the step. */
export function rolledKey(device: number, ts: number): Buffer {
  return key(KIND.rolled, [Math.floor(ts / DAY_MS), device, ts % DAY_MS]);
}

export function rolledTime(rolled: Buffer): number {
  return rolled.readUInt32BE(1) * DAY_MS + rolled.readUInt32BE(9);
}

/** One device within one hour or day. */
export function slotRange(kind: 'raw' | 'rolled', slot: number, device: number): KeyRange {
  return { gte: key(KIND[kind], [slot, device]), lt: key(KIND[kind], [slot, device + 1]) };
}

/** Every device in the slots from `from` up to, not with, `to`. */
export function slotsRange(kind: 'raw' | 'rolled', from: number, to: number): KeyRange {
  return { gte: key(KIND[kind], [from]), lt: key(KIND[kind], [to]) };
}

export const slotOf = (slotted: Buffer): number => slotted.readUInt32BE(1);

export function kindRange(kind: keyof typeof KIND): KeyRange {
  return { gte: key(KIND[kind], []), lt: key(KIND[kind] + 1, []) };
}

export const jobKey = (device: number, jobId: string): Buffer => key(KIND.job, [device], jobId);

export function deviceRange(kind: 'job' | 'benchLine', device: number): KeyRange {
  return { gte: key(KIND[kind], [device]), lt: key(KIND[kind], [device + 1]) };
}

const seconds = (ts: number): number => Math.floor(ts / 1000);

export function benchLineKey(device: number, ts: number, benchId: string): Buffer {
  return key(KIND.benchLine, [device, seconds(ts)], benchId);
}

export function benchReportKey(device: number, benchId: string): Buffer {
  return key(KIND.benchReport, [device], benchId);
}

export function benchTimeKey(device: number, ts: number, benchId: string): Buffer {
  return key(KIND.benchByTime, [seconds(ts), device], benchId);
}

/** What the key of a report by time holds; `ts` to the second, as the keys are. */
export function benchTimeParts(timed: Buffer): { device: number; ts: number; benchId: string } {
  const ts = timed.readUInt32BE(1) * 1000;
  return { device: timed.readUInt32BE(5), ts, benchId: timed.toString('utf8', 9) };
}
