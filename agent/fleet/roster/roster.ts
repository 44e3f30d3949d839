import { isFinished } from '../protocol/finished.ts';
import { isCloned, NO_PRESENCE, withStatus, type Presence } from './presence.ts';
import type {
  FleetMessage,
  SeenCard,
  SeenRecord,
  SeenStatus,
  SeenTelemetry,
  SeenTwin,
} from './read.ts';
import { emptyRow, jobOf, type DeviceRow, type RowState } from './row.ts';

/** A device says every minute that it is there. */
const REPORT_MS = 60_000;
export const SILENT_MS = 3 * REPORT_MS;
/** Devices beyond this number are counted and not kept. */
const MAX_DEVICES = 200_000;
/** Lists that are kept once for all devices that have the same; for good, so none that is long. */
const MAX_LISTS = 10_000;
const MAX_LIST_CHARACTERS = 1000;

/** Which metric of telemetry goes into which column, and how. */
type Column = (value: number | null) => Partial<DeviceRow>;
const COLUMNS: readonly (readonly [string, Column])[] = [
  ['socCelsius', (celsius) => ({ celsius })],
  ['throttled', (value) => ({ throttled: value === null ? null : value !== 0 })],
];

interface Entry {
  readonly row: DeviceRow;
  readonly presence: Presence;
  readonly twinRev: number;
  readonly cardSession: number;
  readonly jobSeq: number;
  /**
   * When its card was last there, live or retained; of a device without one, anything. By the steady
   * clock: a step of the machine's clock must not make the fleet look gone.
   */
  readonly thereMs: number;
  /** When a live message came, by the same clock; what is read from the broker's memory never replaces it. */
  readonly liveMs: Readonly<Partial<Record<FleetMessage['kind'], number>>>;
}

/** When a message came, and where from. */
export interface Arrival {
  readonly nowMs: number;
  /** Where the clock may be set: the same moment by one that only goes on. */
  readonly steadyMs?: number;
  /** Of one that was read from the broker's memory: when that began, by the steady clock. */
  readonly readMs?: number;
}

/**
 * The devices of a fleet, put together from their messages, whatever their order and however often
 * they come. No clock, no connection: whoever has them passes messages and times.
 */
export class Roster {
  readonly #entries = new Map<string, Entry>();
  readonly #lists = new Map<string, string[]>();
  readonly #revoked = new Set<string>();
  readonly #maxDevices: number;
  #left = 0;

  constructor(maxDevices: number = MAX_DEVICES) {
    this.#maxDevices = maxDevices;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Messages of devices beyond the limit. */
  get left(): number {
    return this.#left;
  }

  get(deviceId: string): DeviceRow | undefined {
    return this.#entries.get(deviceId)?.row;
  }

  /** Whether a device is shut out: nothing that it says is heard. */
  isRevoked(deviceId: string): boolean {
    return this.#revoked.has(deviceId);
  }

  *rows(): Iterable<DeviceRow> {
    for (const { row } of this.#entries.values()) yield row;
  }

  /** Takes a message; true when the row of its device has changed. */
  apply(message: FleetMessage, arrival: Arrival): boolean {
    const { deviceId, kind } = message;
    if (kind === 'revocation') return this.#revoke(deviceId, message.value !== null);
    if (this.#revoked.has(deviceId)) return false;
    const known = this.#entries.get(deviceId);
    if (isOvertaken(known, kind, arrival)) return false;
    if (kind === 'card' && message.value === null) return this.#entries.delete(deviceId);
    if (known === undefined && message.value === null) return false;
    if (known === undefined && this.#entries.size >= this.#maxDevices) {
      this.#left += 1;
      return false;
    }
    const before = known ?? newEntry(deviceId);
    const after = heard(this.#next(before, message, arrival), message, arrival);
    this.#entries.set(deviceId, after);
    return after.row !== known?.row;
  }

  /** Lets time pass: ids of the devices that have become silent since. */
  tick(nowMs: number): readonly string[] {
    const changed: string[] = [];
    for (const [deviceId, entry] of this.#entries) {
      const row = withTime(entry.row, entry.presence, nowMs);
      if (row === entry.row) continue;
      this.#entries.set(deviceId, { ...entry, row });
      changed.push(deviceId);
    }
    return changed;
  }

  /** Forgets devices of which nothing has been there since a time of the steady clock; their ids. */
  forget(sinceMs: number): readonly string[] {
    const gone = [...this.#entries].filter(([, { thereMs }]) => thereMs < sinceMs);
    for (const [deviceId] of gone) this.#entries.delete(deviceId);
    return gone.map(([deviceId]) => deviceId);
  }

  #revoke(deviceId: string, isOut: boolean): boolean {
    if (!isOut) this.#revoked.delete(deviceId);
    else if (this.#revoked.size < this.#maxDevices) this.#revoked.add(deviceId);
    return isOut && this.#entries.delete(deviceId);
  }

  #next(
    entry: Entry,
    message: Exclude<FleetMessage, { readonly kind: 'revocation' }>,
    arrival: Arrival,
  ): Entry {
    switch (message.kind) {
      case 'status':
        return statusSeen(entry, message.value, arrival);
      case 'card':
        return message.value === null ? entry : cardSeen(entry, this.#shared(message.value));
      case 'twin':
        return message.value === null ? entry : twinSeen(entry, message.value);
      case 'record':
        return recordSeen(entry, message.jobId, message.value);
      case 'telemetry':
        return telemetrySeen(entry, message.value);
      default:
        return message satisfies never;
    }
  }

  /** Thousands of devices have the same few lists of tags and keys. */
  #shared(card: SeenCard): SeenCard {
    const share = (list: string[]): string[] => {
      const key = JSON.stringify(list);
      const known = this.#lists.get(key);
      const isShort = key.length <= MAX_LIST_CHARACTERS;
      if (known === undefined && isShort && this.#lists.size < MAX_LISTS)
        this.#lists.set(key, list);
      return known ?? list;
    };
    return {
      ...card,
      tags: share(card.tags),
      precisions: share(card.precisions),
      accelerators: share(card.accelerators),
      jobTypes: share(card.jobTypes),
      keyIds: share(card.keyIds),
    };
  }
}

function newEntry(deviceId: string): Entry {
  const row = emptyRow(deviceId);
  const none = { twinRev: 0, cardSession: 0, jobSeq: 0, thereMs: 0 };
  return { ...none, row, presence: NO_PRESENCE, liveMs: {} };
}

/** A live message has come since the broker was asked for what it keeps. */
function isOvertaken(
  known: Entry | undefined,
  kind: FleetMessage['kind'],
  { readMs }: Arrival,
): boolean {
  if (readMs === undefined) return false;
  return (known?.liveMs[kind] ?? Number.NEGATIVE_INFINITY) >= readMs;
}

/** Whatever comes live is a sign of life, but for a will and what others take away. */
function heard(entry: Entry, { kind, value }: FleetMessage, arrival: Arrival): Entry {
  const { nowMs, steadyMs = nowMs, readMs } = arrival;
  const counts = value !== null && (kind === 'card' || entry.cardSession === 0);
  const thereMs = counts ? steadyMs : entry.thereMs;
  const isGone = value === null || entry.presence.status?.state === 'offline';
  const lastSeenMs = isGone || readMs !== undefined ? entry.row.lastSeenMs : nowMs;
  const liveMs = readMs === undefined ? { ...entry.liveMs, [kind]: steadyMs } : entry.liveMs;
  const row = lastSeenMs === entry.row.lastSeenMs ? entry.row : { ...entry.row, lastSeenMs };
  return { ...entry, thereMs, liveMs, row: withTime(row, entry.presence, nowMs) };
}

function withTime(row: DeviceRow, presence: Presence, nowMs: number): DeviceRow {
  const state = stateOf(row, presence, nowMs);
  const cloned = isCloned(presence, nowMs);
  return state === row.state && cloned === row.cloned ? row : { ...row, state, cloned };
}

function stateOf({ lastSeenMs }: DeviceRow, { status }: Presence, nowMs: number): RowState {
  if (status === null || status.state === 'offline') return 'offline';
  return nowMs - (lastSeenMs ?? nowMs) >= SILENT_MS ? 'silent' : status.state;
}

function statusSeen(entry: Entry, status: SeenStatus | null, { nowMs, readMs }: Arrival): Entry {
  if (status === null) return { ...entry, presence: { ...entry.presence, status: null } };
  const presence = withStatus(entry.presence, status, nowMs);
  if (presence === null) return entry;
  const { row } = entry;
  // A kept status is as old as it says, if its clock can be right.
  const saidMs = Date.parse(status.ts ?? status.since);
  const seenMs = readMs === undefined ? row.lastSeenMs : lastSeen(row.lastSeenMs, saidMs, nowMs);
  const agent = status.agent === '' ? row.agent : status.agent;
  return {
    ...entry,
    presence,
    row: { ...row, session: status.session, agent, lastSeenMs: seenMs },
  };
}

function lastSeen(before: number | null, saidMs: number, nowMs: number): number | null {
  if (before !== null) return before;
  return saidMs > 0 && saidMs <= nowMs ? saidMs : nowMs;
}

function cardSeen(entry: Entry, card: SeenCard): Entry {
  const isOld = card.session < entry.cardSession && card.session < (entry.row.session ?? 0);
  if (isOld) return entry;
  const { deviceId: _, session, ...columns } = card;
  return { ...entry, cardSession: session, row: { ...entry.row, ...columns } };
}

function twinSeen(entry: Entry, twin: SeenTwin): Entry {
  if (twin.rev < entry.twinRev) return entry;
  const row: DeviceRow = {
    ...entry.row,
    model: twin.activeModel,
    p90Ms: twin.lastBench?.p90Ms ?? null,
    accuracy: twin.lastBench?.accuracy ?? null,
    counters: twin.counters ?? null,
  };
  return { ...entry, twinRev: twin.rev, row };
}

function recordSeen(entry: Entry, jobId: string, record: SeenRecord | null): Entry {
  const { row, jobSeq } = entry;
  const isShown = row.job?.jobId === jobId;
  if (record === null) return isShown ? { ...entry, jobSeq: 0, row: { ...row, job: null } } : entry;
  if (isShown && record.seq < jobSeq) return entry;
  // An old job that is told again does not hide the one that is under way.
  const isOpen = row.job !== null && !isFinished(row.job.status);
  if (!isShown && isOpen && isFinished(record.status)) return entry;
  return { ...entry, jobSeq: record.seq, row: { ...row, job: jobOf(record) } };
}

function telemetrySeen(entry: Entry, { values }: SeenTelemetry): Entry {
  const parts = COLUMNS.map(([metric, column]) =>
    Object.hasOwn(values, metric) ? column(values[metric] ?? null) : {},
  );
  const row = parts.reduce<DeviceRow>((before, part) => ({ ...before, ...part }), entry.row);
  return { ...entry, row };
}
