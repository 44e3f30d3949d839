import type { JobWindow } from '../../contracts/job.ts';

const MINUTE_MS = 60_000;
const DAY_MINUTES = 1440;
/** An hour is usual; zones have left out more. */
const MAX_GAP_MINUTES = 180;

/** The five fields of a cron line, each with what it may hold. */
const FIELDS = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12 },
  { name: 'weekday', min: 0, max: 7 },
] as const;

type FieldName = (typeof FIELDS)[number]['name'];
type Schedule = Readonly<Record<FieldName, ReadonlySet<number> | null>>;

/**
 * Whether a window is open: whether one of the last `durationMinutes` minutes is one at which it opens.
 * Judged by the wall clock of its time zone, so also across a change of summer time. Throws RangeError
 * for a cron line or a zone that is none.
 */
export function isOpen({ cron, durationMinutes, timeZone }: JobWindow, nowMs: number): boolean {
  const schedule = parseCron(cron);
  const format = new Intl.DateTimeFormat('en-GB', {
    ...(timeZone === undefined ? {} : { timeZone }),
    minute: 'numeric',
    hour: 'numeric',
    hourCycle: 'h23',
    day: 'numeric',
    month: 'numeric',
    weekday: 'short',
  });
  const minute = Math.floor(nowMs / MINUTE_MS) * MINUTE_MS;
  let later: Parts | null = null;
  for (let back = 0; back < durationMinutes; back += 1) {
    const parts = partsOf(format, minute - back * MINUTE_MS);
    if (opensAt(schedule, parts)) return true;
    const restMinutes = durationMinutes - (back - 1);
    if (later !== null && opensInGap(schedule, parts, later, restMinutes)) return true;
    later = parts;
  }
  return false;
}

/**
 * Whether a window opens at a minute that the clock has left out between two that follow one another: a
 * window from 02:00 is open from 03:00 on in the night in which summer time begins, and ends as always.
 */
function opensInGap(schedule: Schedule, before: Parts, after: Parts, restMinutes: number): boolean {
  const end = wallMinute(after);
  const gap = ((end - wallMinute(before) + DAY_MINUTES) % DAY_MINUTES) - 1;
  // More is a clock that went back.
  if (gap > MAX_GAP_MINUTES) return false;
  for (let back = 1; back <= Math.min(gap, restMinutes - 1); back += 1) {
    const at = end - back;
    if (opensAt(schedule, { ...after, hour: Math.floor(at / 60), minute: at % 60 })) return true;
  }
  return false;
}

function wallMinute({ hour, minute }: Parts): number {
  return hour * 60 + minute;
}

/** Throws RangeError for a cron line or a zone that is none: such a window would never open. */
export function checkWindow({ cron, timeZone }: Pick<JobWindow, 'cron' | 'timeZone'>): void {
  parseCron(cron);
  if (timeZone === undefined) return;
  try {
    new Intl.DateTimeFormat('en', { timeZone }).format(0);
  } catch {
    throw new RangeError(`"${timeZone}" is no time zone such as Europe/Berlin`);
  }
}

/** Numbers, `*`, lists, ranges and steps, as crontab(5) has them; null stands for any. */
export function parseCron(line: string): Schedule {
  const texts = line.trim().split(/\s+/);
  if (texts.length !== FIELDS.length) {
    throw new RangeError(`"${line}" needs 5 fields: minute hour day month weekday`);
  }
  const sets = FIELDS.map((field, index) => parseField(field, texts[index] ?? ''));
  const [minute = null, hour = null, day = null, month = null, weekday = null] = sets;
  // Sunday is 0 and 7.
  const days = weekday === null ? null : new Set([...weekday].map((one) => one % 7));
  return { minute, hour, day, month, weekday: days };
}

interface Field {
  readonly name: FieldName;
  readonly min: number;
  readonly max: number;
}

function parseField(field: Field, text: string): ReadonlySet<number> | null {
  if (text === '*') return null;
  return new Set(text.split(',').flatMap((item) => parseItem(field, item)));
}

const ITEM = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/;

function parseItem({ name, min, max }: Field, item: string): readonly number[] {
  const found = ITEM.exec(item);
  if (found === null) throw new RangeError(`"${item}" is no ${name}`);
  const [, first, last, step] = found;
  const from = Number(first ?? min);
  const to = Number(last ?? (first === undefined || step !== undefined ? max : first));
  const by = Number(step ?? 1);
  if (from < min || to > max || from > to || by < 1) {
    throw new RangeError(`"${item}" is no ${name}: use ${min} to ${max}`);
  }
  return Array.from({ length: Math.floor((to - from) / by) + 1 }, (_, index) => from + index * by);
}

type Parts = Readonly<Record<FieldName, number>>;

const WEEKDAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

function partsOf(format: Intl.DateTimeFormat, ms: number): Parts {
  const parts = new Map(format.formatToParts(ms).map(({ type, value }) => [type, value]));
  const number = (type: Intl.DateTimeFormatPartTypes) => Number(parts.get(type));
  return {
    minute: number('minute'),
    hour: number('hour'),
    day: number('day'),
    month: number('month'),
    weekday: WEEKDAYS.indexOf(parts.get('weekday') ?? ''),
  };
}

/** Day and weekday together mean either, as in crontab(5). */
function opensAt(schedule: Schedule, parts: Parts): boolean {
  const is = (name: FieldName) => schedule[name]?.has(parts[name]) ?? true;
  const day =
    schedule.day !== null && schedule.weekday !== null
      ? is('day') || is('weekday')
      : is('day') && is('weekday');
  return is('minute') && is('hour') && is('month') && day;
}
