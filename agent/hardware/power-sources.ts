import type { Reading } from './facts-log.ts';
import { findIna3221, readRails } from './ina3221.ts';
import { totalPower, type Rail, type TotalPower } from './rails.ts';
import { EnergySum, findRapl, readRapl } from './rapl.ts';
import { slowly } from './slowly.ts';
import type { TegrastatsStream } from './tegrastats-stream.ts';
import type { Tree } from './tree.ts';
import { askVcgencmd, findTool, parsePmic } from './vcgencmd.ts';

/** Power at a moment, or energy since the meter was opened; when, on the clock of `performance.now`. */
export type PowerReading = { readonly atMs: number } & (
  { readonly milliwatts: number } | { readonly millijoules: number }
);

export interface PowerMeter {
  /** Where the figures come from: `INA3221 VDD_IN`. */
  readonly source: string;
  /** It counts energy: what counts is the difference between two readings. */
  readonly counts: boolean;
  /**
   * What the machine draws now; null where it cannot be read this time. A meter that is a program
   * gives its last reading for a second, unless a fresh one is wanted.
   */
  read(fresh?: boolean): Promise<PowerReading | null>;
}

/** Starting a program costs milliseconds on a small board. */
const ASK_EVERY_MS = 1000;

/** NVIDIA's power monitors, by files. */
export async function openIna3221(
  reading: Reading,
  totalRail: string | null,
): Promise<PowerMeter | null> {
  const files = await findIna3221(reading);
  const total = (rails: readonly Rail[]) => totalPower(rails, totalRail);
  const first = total(await readRails(reading, files));
  if (first === null) return null;
  return {
    source: `INA3221 ${first.rails}`,
    counts: false,
    read: async () => {
      const atMs = performance.now();
      return sameRails(total(await readRails(reading, files)), first.rails, atMs);
    },
  };
}

/** The rails in the lines of a running tegrastats. */
export function tegrastatsMeter(
  stream: TegrastatsStream,
  totalRail: string | null,
): PowerMeter | null {
  const total = (rails: readonly Rail[]) => totalPower(rails, totalRail);
  const first = total(stream.last()?.line.rails ?? []);
  if (first === null) return null;
  return {
    source: `tegrastats ${first.rails}`,
    counts: false,
    read: () => {
      const { line, atMs } = stream.last() ?? { line: null, atMs: 0 };
      return Promise.resolve(sameRails(total(line?.rails ?? []), first.rails, atMs));
    },
  };
}

/** A sum of fewer rails than at first would be another figure. */
function sameRails(total: TotalPower | null, expected: string, atMs: number): PowerReading | null {
  return total?.rails === expected ? { atMs, milliwatts: total.milliwatts } : null;
}

/** The chip that powers a Pi 5, by its firmware. */
export async function openPmic(
  tree: Tree,
  tools: readonly string[],
  everyMs = ASK_EVERY_MS,
): Promise<PowerMeter | null> {
  const tool = await findTool(tree, tools);
  if (tool === undefined) return null;
  const ask = async (): Promise<PowerReading | null> => {
    const atMs = performance.now();
    try {
      const rails = parsePmic(await askVcgencmd(tool, 'pmic_read_adc'));
      return { atMs, milliwatts: rails.reduce((sum, { milliwatts }) => sum + milliwatts, 0) };
    } catch {
      // Boards before the Pi 5 know no such question.
      return null;
    }
  };
  if ((await ask()) === null) return null;
  return {
    source: 'Pi 5 power chip, sum of rails',
    counts: false,
    read: slowly(ask, everyMs),
  };
}

/** Energy counters of an x86 processor, by files. */
export async function openRapl(reading: Reading): Promise<PowerMeter | null> {
  const zones = await findRapl(reading);
  if (zones.length === 0) return null;
  const sum = new EnergySum();
  return {
    source: `RAPL ${zones.map(({ name }) => name).join(' + ')}`,
    counts: true,
    read: async () => {
      const atMs = performance.now();
      const values = await readRapl(reading, zones);
      return values === null ? null : { atMs, millijoules: sum.add(values) };
    },
  };
}
