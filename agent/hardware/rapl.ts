// Energy counters of x86 processors (running average power limit), Intel's and AMD's alike.
import { listFolder, missFact, readFact, readOptional, type Reading } from './facts-log.ts';
import { nonsense } from './error.ts';
import { parseInteger, parsePositive } from './parse.ts';

const POWERCAP = '/sys/class/powercap';
/** Without `intel-rapl-mmio:N`, which is the same package through another door. */
const ZONES = /^intel-rapl:\d+(:\d+)?$/;
/** Cores and graphics are parts of a package; memory is not. The platform zone holds all, where it works. */
const COUNTED = /^(package-\d+|dram)$/;

/** One energy counter. */
export interface EnergyZone {
  readonly name: string;
  readonly path: string;
  /** The counter starts again at 0 after this many µJ. */
  readonly rangeMicrojoules: number;
}

/** Counters that together hold what the processor and its memory use; a refusal is noted as `power`. */
export async function findRapl(reading: Reading): Promise<readonly EnergyZone[]> {
  const { tree } = reading;
  const zones: EnergyZone[] = [];
  for (const folder of await listFolder(reading, 'power', POWERCAP, ZONES)) {
    // oxlint-disable-next-line no-await-in-loop -- a handful of small files
    const name = (await readOptional(tree, `${POWERCAP}/${folder}/name`))?.trim() ?? '';
    if (!COUNTED.test(name)) continue;
    // oxlint-disable-next-line no-await-in-loop -- a handful of small files
    const zone = await openZone(reading, name, `${POWERCAP}/${folder}`);
    if (zone === null) return [];
    zones.push(zone);
  }
  return zones;
}

async function openZone(
  reading: Reading,
  name: string,
  folder: string,
): Promise<EnergyZone | null> {
  const path = `${folder}/energy_uj`;
  const now = await readFact(reading, 'power', path, parseMicrojoules);
  const range = await readFact(reading, 'power', `${folder}/max_energy_range_uj`, parsePositive);
  if (now !== null && range !== null) return { name, path, rangeMicrojoules: range };
  // Since 2020 the counters are root's alone: they tell too much about what others compute.
  const why = now === null ? await refusal(reading, path) : 'its range is not known';
  missFact(reading, 'power', `${path}: ${why}`);
  return null;
}

async function refusal({ tree }: Reading, path: string): Promise<string> {
  const readable = await tree.exists(path);
  return readable ? 'cannot be read: only root may (chmod a+r it, or run as root)' : 'no such file';
}

/** Adds up counters that wrap around: energy since the first reading. */
export class EnergySum {
  readonly #last = new Map<string, number>();
  #microjoules = 0;

  /** Takes the counters' values now, of the same zones every time; returns mJ since the first call. */
  add(values: readonly { readonly zone: EnergyZone; readonly microjoules: number }[]): number {
    for (const { zone, microjoules } of values) {
      const last = this.#last.get(zone.path) ?? microjoules;
      const step = microjoules - last;
      this.#microjoules += step < 0 ? step + zone.rangeMicrojoules : step;
      this.#last.set(zone.path, microjoules);
    }
    return this.#microjoules / 1000;
  }
}

/** Values of all counters now; null when one cannot be read: a sum without it would be wrong. */
export async function readRapl(
  reading: Reading,
  zones: readonly EnergyZone[],
): Promise<readonly { readonly zone: EnergyZone; readonly microjoules: number }[] | null> {
  const values = await Promise.all(
    zones.map(async (zone) => ({
      zone,
      microjoules: await readFact(reading, 'power', zone.path, parseMicrojoules),
    })),
  );
  const known = values.flatMap(({ zone, microjoules }) =>
    microjoules === null ? [] : [{ zone, microjoules }],
  );
  return known.length === zones.length ? known : null;
}

function parseMicrojoules(text: string): number {
  const value = parseInteger(text);
  if (value < 0) throw nonsense('an energy in microjoules', text);
  return value;
}
