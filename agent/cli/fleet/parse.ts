import { InvalidArgumentError } from 'commander';
import type { z } from 'zod';
import type { failureLimitSchema } from '../../contracts/rollout.ts';
import type { JobWindow } from '../../contracts/job.ts';
import { checkWindow } from '../../fleet/jobs/window.ts';
import { messageOf } from '../../util/errors.ts';

/** What operators write in options: durations, percents, windows. */

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `90s`, `30m`, `1h30m`, `7d`, or plain seconds; in seconds. */
export function parseDuration(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)([smhd])/g)];
  const read = parts.map(([whole]) => whole).join('');
  if (parts.length === 0 || read !== text) {
    throw new InvalidArgumentError(`"${text}" is no duration such as 90s, 30m, 1h30m or 7d.`);
  }
  return parts.reduce(
    (sum, [, count, unit = 's']) => sum + Number(count) * (SECONDS[unit] ?? 1),
    0,
  );
}

/** A timer of Node.js takes 24 days at most, and ends at once when asked for more. */
const MAX_WAIT_S = 7 * 86_400;

/** A duration that somebody waits for: from `min` seconds to a week. */
export function parseWait(min: number): (text: string) => number {
  return (text) => {
    const seconds = parseDuration(text);
    if (seconds >= min && seconds <= MAX_WAIT_S) return seconds;
    throw new InvalidArgumentError(`"${text}": use ${min}s to 7d.`);
  };
}

/** `5%` or `5`; of a hundred. */
export function parsePercent(text: string): number {
  const [, digits] = /^(\d+(?:\.\d+)?)\s*%?$/.exec(text.trim()) ?? [];
  const value = Number(digits);
  if (digits === undefined || value > 100) {
    throw new InvalidArgumentError(`"${text}" is no percentage such as 5%.`);
  }
  return value;
}

/** `1%,10%,50%,100%`: each larger than the one before. */
export function parseWaves(text: string): number[] {
  const waves = text.split(',').map(parsePercent);
  const wrong = waves.find((wave, at) => wave <= (waves[at - 1] ?? 0));
  if (wrong !== undefined) {
    throw new InvalidArgumentError(`${wrong}% is not more than the wave before it.`);
  }
  return waves;
}

/** `5%/10`: both have to be reached. */
export function parseFailureLimit(text: string): z.infer<typeof failureLimitSchema> {
  const [share = '', count = '', more] = text.split('/');
  if (more !== undefined || !/^\d+$/.test(count) || Number(count) < 1) {
    throw new InvalidArgumentError(
      `"${text}": give a percentage and a number of devices, such as 5%/10.`,
    );
  }
  return { percent: parsePercent(share), count: Number(count) };
}

/** `kws@2.1.0`; the version may have an @ in it no more than the name. */
export function parseRelease(text: string): { readonly name: string; readonly version: string } {
  const [name = '', version = '', more] = text.split('@');
  if (more !== undefined || name === '' || version === '') {
    throw new InvalidArgumentError(`"${text}": use NAME@VERSION, such as kws@2.1.0.`);
  }
  return { name, version };
}

const CLOCK = /^(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})(?:\s+(\S+))?$/;
const CRON = /^((?:\S+\s+){4}\S+)\s+for\s+(\S+?)(?:\s+in\s+(\S+))?$/;
const DAY_MINUTES = 1440;
const MAX_WINDOW_MINUTES = 1430;

/** `02:00-05:00 Europe/Berlin`, or `0 2 * * 1-5 for 3h in Europe/Berlin`. */
export function parseWindow(text: string): JobWindow {
  const clock = CLOCK.exec(text);
  if (clock !== null) return dailyWindow(text, clock);
  const [, cron, duration = '', zone] = CRON.exec(text) ?? [];
  if (cron === undefined) {
    const use = '02:00-05:00, or "0 2 * * 1-5 for 3h in Europe/Berlin"';
    throw new InvalidArgumentError(`"${text}" is no window: use ${use}.`);
  }
  return windowOf(cron.replaceAll(/\s+/g, ' '), parseDuration(duration) / 60, zone);
}

function dailyWindow(text: string, [, ...parts]: readonly (string | undefined)[]): JobWindow {
  const [fromHour = 0, fromMinute = 0, toHour = 0, toMinute = 0] = parts.slice(0, 4).map(Number);
  if (fromHour > 23 || toHour > 23 || fromMinute > 59 || toMinute > 59) {
    throw new InvalidArgumentError(`"${text}": there is no such time of day.`);
  }
  const minutes = toHour * 60 + toMinute - (fromHour * 60 + fromMinute);
  const length = (minutes + DAY_MINUTES) % DAY_MINUTES;
  return windowOf(`${fromMinute} ${fromHour} * * *`, length, parts[4]);
}

function windowOf(cron: string, minutes: number, timeZone: string | undefined): JobWindow {
  if (!Number.isInteger(minutes) || minutes < 1 || minutes > MAX_WINDOW_MINUTES) {
    throw new InvalidArgumentError(`A window lasts 1 to ${MAX_WINDOW_MINUTES} whole minutes.`);
  }
  const window = {
    cron,
    durationMinutes: minutes,
    ...(timeZone === undefined ? {} : { timeZone }),
  };
  try {
    checkWindow(window);
  } catch (error) {
    throw new InvalidArgumentError(`${messageOf(error)}.`);
  }
  return window;
}

/** `45 s`, `12 min`, `3 h 20 min`, `2 d`: for people. */
export function formatDuration(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  if (hours < 24) return rest === 0 ? `${hours} h` : `${hours} h ${rest} min`;
  return `${Math.round(hours / 24)} d`;
}
