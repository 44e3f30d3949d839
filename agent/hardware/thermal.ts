import type { Facts } from '../contracts/facts.ts';
import { nonsense } from './error.ts';
import { listFolder, missFact, readFact, readOptional, type Reading } from './facts-log.ts';
import { parseInteger, parseLine } from './parse.ts';

const ZONES = '/sys/class/thermal';
const HWMON = '/sys/class/hwmon';
const APEX = '/sys/class/apex';
/** Outside of this a sensor is off or broken: -256 °C and -89.7 °C are what two of them then say. */
const PLAUSIBLE_CELSIUS = { lowest: -55, highest: 150 };

/** Jetsons report a constant 100 (or 50) °C there. */
const CONSTANT_ZONES = /^PMIC/i;
/** Zones that say nothing about the heat of the computation: estimates, radios, batteries. */
const IRRELEVANT_ZONES = /^(thermal-fan-est|iwlwifi|.*battery|bms$)/i;
/** CPU sensors of machines that have no thermal zones. */
const CPU_SENSORS: readonly string[] = ['coretemp', 'k10temp', 'zenpower', 'cpu_thermal'];

export type ThermalZone = Facts['thermal'][number];

/** Reads every temperature; a zone that cannot be read now has `celsius` null. */
export async function readThermal(reading: Reading): Promise<ThermalZone[]> {
  const zones = await listFolder(reading, 'thermal', ZONES, /^thermal_zone\d+$/);
  const found: ThermalZone[] = [];
  for (const name of zones) {
    // oxlint-disable-next-line no-await-in-loop -- in order: two zones may have one name
    const zone = await readZone(reading, `${ZONES}/${name}`);
    if (zone !== null) found.push(zone);
  }
  const cpu = found.length > 0 ? found : await readSensors(reading);
  const all = [...cpu, ...(await readApexTemperatures(reading))];
  if (all.length === 0 && !reading.unknown.has('thermal')) {
    missFact(reading, 'thermal', 'no thermal zones and no CPU sensor');
  }
  return all;
}

/** The hottest zone that the computation heats, in °C, or null. */
export function hottest(zones: readonly ThermalZone[]): number | null {
  const relevant = zones.filter(({ zone }) => !IRRELEVANT_ZONES.test(zone));
  const known = relevant.flatMap(({ celsius }) => celsius ?? []);
  return known.length === 0 ? null : Math.max(...known);
}

async function readZone(reading: Reading, folder: string): Promise<ThermalZone | null> {
  const name = folder.slice(ZONES.length + 1);
  const zone = await readFact(reading, `thermal.${name}`, `${folder}/type`, parseLine);
  if (zone === null) return null;
  // The name is only the way to the temperature; the fact is that of the zone.
  reading.sources.delete(`thermal.${name}`);
  if (CONSTANT_ZONES.test(zone)) return null;
  const fact = factOf(reading, zone, name);
  const celsius = await readFact(reading, fact, `${folder}/temp`, parseMilliCelsius);
  return { zone, celsius };
}

/** The fact of a sensor: by its name, and by its folder too when another one has that name. */
function factOf({ sources, unknown }: Reading, sensor: string, folder: string): string {
  const fact = `thermal.${sensor}`;
  return sources.has(fact) || unknown.has(fact) ? `${fact}.${folder}` : fact;
}

async function readSensors(reading: Reading): Promise<ThermalZone[]> {
  const found: ThermalZone[] = [];
  for (const name of await listFolder(reading, 'thermal', HWMON, /^hwmon\d+$/)) {
    // oxlint-disable-next-line no-await-in-loop -- a handful of small files
    const sensor = (await readOptional(reading.tree, `${HWMON}/${name}/name`))?.trim() ?? '';
    if (!CPU_SENSORS.includes(sensor)) continue;
    const path = `${HWMON}/${name}/temp1_input`;
    const fact = factOf(reading, sensor, name);
    // oxlint-disable-next-line no-await-in-loop -- a handful of small files
    const celsius = await readFact(reading, fact, path, parseMilliCelsius);
    found.push({ zone: sensor, celsius });
  }
  return found;
}

/** PCIe Edge TPUs; the driver of the mainline kernel has no temperature. */
async function readApexTemperatures(reading: Reading): Promise<ThermalZone[]> {
  const names = await listFolder(reading, 'thermal', APEX, /^apex_\d+$/);
  const read = names.map(async (name) => {
    const path = `${APEX}/${name}/temp`;
    if (!(await reading.tree.exists(path))) return null;
    return {
      zone: name,
      celsius: await readFact(reading, `thermal.${name}`, path, parseMilliCelsius),
    };
  });
  return (await Promise.all(read)).filter((zone) => zone !== null);
}

function parseMilliCelsius(text: string): number {
  const celsius = parseInteger(text) / 1000;
  if (celsius < PLAUSIBLE_CELSIUS.lowest || celsius > PLAUSIBLE_CELSIUS.highest) {
    throw nonsense('a plausible temperature in thousandths of a degree', text);
  }
  return celsius;
}
