import type { FleetSample } from '../../contracts/fleet-list.ts';
import type { DeviceRow } from '../../fleet/roster/row.ts';
import { sparkline } from '../sparkline.ts';
import { plain, styled } from '../text.ts';
import { medianOf } from './sample.ts';

/** A fleet with sparklines: pure functions. */

export interface WatchOptions {
  readonly width: number;
  readonly color: boolean;
  /** For sparklines, from low to high. */
  readonly marks: readonly string[];
  /** Which devices are named: the hottest. */
  readonly hottest: number;
}

/** What was seen until now, the newest last. */
export interface Seen {
  readonly samples: readonly FleetSample[];
  /** Median p90 of each class, for each sample. */
  readonly classes: ReadonlyMap<string, readonly (number | null)[]>;
  /** Temperature of single devices, for each sample. */
  readonly heat: ReadonlyMap<string, readonly (number | null)[]>;
}

const LABEL = 11;
const TEXT = 46;

/** The fleet as a whole, by class, and the hottest devices. */
export function renderWatch(
  rows: readonly DeviceRow[],
  seen: Seen,
  options: WatchOptions,
): readonly string[] {
  const now = seen.samples.at(-1);
  if (now === undefined) return ['waiting for the fleet'];
  const link = now.connected
    ? ''
    : styled('  the broker is lost: trying again', 'red', options.color);
  return [
    `${styled(`${now.devices} devices`, 'bold', options.color)}, ${counts(now.states)}; q leaves${link}`,
    '',
    ...figures(now, seen.samples, options),
    '',
    ...classTable(rows, seen, options),
    '',
    ...hottest(rows, seen, options),
  ];
}

function counts(values: Readonly<Record<string, number>>): string {
  const parts = Object.entries(values)
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, count]) => `${count} ${plain(name)}`);
  return parts.length === 0 ? 'none' : parts.join(', ');
}

function figures(
  now: FleetSample,
  samples: readonly FleetSample[],
  { width, marks }: WatchOptions,
): readonly string[] {
  const room = Math.max(8, width - LABEL - TEXT - 1);
  const line = (label: string, text: string, value: (sample: FleetSample) => number | null) => {
    const history = sparkline(samples.map(value), room, marks);
    return `${label.padEnd(LABEL)}${text.slice(0, TEXT).padEnd(TEXT)} ${history}`;
  };
  const { celsius, p90Ms } = now;
  const hot = now.throttled === 0 ? '' : `, ${now.throttled} throttled`;
  return [
    line(
      'online',
      `${now.states['online'] ?? 0} of ${now.devices}`,
      (one) => one.states['online'] ?? 0,
    ),
    line('°C', `${spread(celsius, 0)}${hot}`, (one) => one.celsius.median),
    line('p90 ms', spread(p90Ms, 3), (one) => one.p90Ms.median),
    line('open jobs', counts(now.openJobs), (one) => sum(Object.values(one.openJobs))),
    line(
      'telemetry',
      `${rate(now.telemetryPerSecond)} messages/s`,
      (one) => one.telemetryPerSecond,
    ),
    line('messages', `${rate(now.messagesPerSecond)} /s in all`, (one) => one.messagesPerSecond),
    `${'runs'.padEnd(LABEL)}${counts(now.precisions)}`,
  ];
}

function spread({ devices, median, max }: FleetSample['celsius'], digits: number): string {
  if (median === null || max === null) return 'nobody has said';
  const text = (value: number) => (digits === 0 ? value.toFixed(0) : value.toPrecision(digits));
  return `median ${text(median)}, highest ${text(max)} of ${devices}`;
}

function rate(value: number): string {
  return value >= 10 ? value.toFixed(0) : value.toFixed(1);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

const CLASS = 20;
const CELL = 8;

/** Devices of one class decide alike: where they do not, somebody wants to know. */
function classTable(
  rows: readonly DeviceRow[],
  { classes }: Seen,
  { width, color, marks }: WatchOptions,
): readonly string[] {
  const names = [...new Set(rows.map((row) => row.class))].toSorted();
  const room = Math.max(8, width - CLASS - 6 * CELL - 1);
  const line = (name: string, cells: readonly string[], history: string) =>
    `${(plain(name) || 'unknown').slice(0, CLASS - 1).padEnd(CLASS)}${cells.map((cell) => cell.padStart(CELL)).join('')} ${history}`.trimEnd();
  const head = ['devices', 'online', 'int8', 'fp16', 'fp32', 'p90 ms'];
  return [
    styled(line('class', head, ''), 'bold', color),
    ...names.map((name) => {
      const own = rows.filter((row) => row.class === name);
      const runs = (precision: string) =>
        String(own.filter(({ model }) => model?.precision === precision).length);
      const p90 = classMedian(own);
      const cells = [
        String(own.length),
        String(own.filter(({ state }) => state === 'online').length),
        runs('int8'),
        runs('fp16'),
        runs('fp32'),
        p90 === null ? '-' : p90.toPrecision(3),
      ];
      return line(name, cells, sparkline(classes.get(name) ?? [], room, marks));
    }),
  ];
}

/** Median p90 of the devices that have measured one. */
export function classMedian(rows: readonly DeviceRow[]): number | null {
  const known = rows.map(({ p90Ms }) => p90Ms).filter((value) => value !== null);
  return medianOf(known.toSorted((a, b) => a - b));
}

function hottest(
  rows: readonly DeviceRow[],
  { heat }: Seen,
  { width, color, marks, hottest: most }: WatchOptions,
): readonly string[] {
  const known = rows
    .flatMap((row) =>
      row.celsius === null || row.state === 'offline' ? [] : [{ row, celsius: row.celsius }],
    )
    .toSorted((a, b) => b.celsius - a.celsius)
    .slice(0, most);
  if (known.length === 0) return ['no device has sent its temperature yet'];
  const room = Math.max(8, width - LABEL - TEXT - 1);
  return [
    styled('hottest', 'bold', color),
    ...known.map(({ row, celsius }) => {
      const name = `${plain(row.deviceId)} (${plain(row.class)})`.slice(0, TEXT + 3);
      const value = `${celsius.toFixed(0)} °C`.padStart(LABEL - 4);
      const history = sparkline(heat.get(row.deviceId) ?? [], room, marks);
      return `${value} ${name.padEnd(TEXT + 3)} ${history}`;
    }),
  ];
}

/** One line for a log. */
export function sampleLine(sample: FleetSample): string {
  const { ts, devices, states, celsius, p90Ms, openJobs, telemetryPerSecond, connected } = sample;
  const link = connected ? '' : ', broker lost';
  const jobs = sum(Object.values(openJobs));
  return `${ts} ${devices} devices: ${counts(states)}; °C ${spread(celsius, 0)}; p90 ms ${spread(p90Ms, 3)}; ${jobs} open jobs; telemetry ${rate(telemetryPerSecond)}/s${link}`;
}
