import { listFolder, startReading } from './facts-log.ts';
import { readCurrentHz } from './cpufreq.ts';
import { hottest, readThermal } from './thermal.ts';
import { readThrottling } from './throttling.ts';
import { openTree } from './tree.ts';

export interface HeatSample {
  /** The hottest zone that the computation heats. */
  readonly celsius: number | null;
  /** The fastest-running core. */
  readonly frequencyHz: number | null;
  /** Reasons to run slower that hold now, e.g. `under-voltage`. */
  readonly throttled: readonly string[];
}

const MAX_CORES = 8;

/** Heat, clock and throttling now; a dozen small files, cheap enough to ask between two rounds. */
export async function sampleHeat(root?: string): Promise<HeatSample> {
  const reading = startReading(await openTree(root));
  const names = await listFolder(reading, 'cpu', '/sys/devices/system/cpu', /^cpu\d+$/);
  // Big cores often have the higher numbers, and they are the ones that get throttled.
  const cores = names.map((name) => Number(name.slice('cpu'.length))).slice(-MAX_CORES);
  return {
    celsius: hottest(await readThermal(reading)),
    frequencyHz: await readCurrentHz(reading, cores),
    throttled: (await readThrottling(reading))?.now ?? [],
  };
}
