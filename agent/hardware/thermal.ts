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
/** Zones of what computes: of a CPU, a GPU, a whole chip or an accelerator, by the start of their names. */
const PROCESSOR_ZONES =
  /^(x86_pkg|coretemp|k10temp|zenpower|[bm]?cpu|gpu|soc|tj|cv\d|npu|big|little|center|package|cluster|apex)/i;
/** CPU sensors of machines that have no thermal zone of the processor. */
const CPU_SENSORS: readonly string[] = ['coretemp', 'k10temp', 'zenpower', 'cpu_thermal'];

export type ThermalZone = Facts['thermal'][number];

/** A sensor: what it calls itself, the fact it is noted under, and its file in thousandths of a °C. */
export interface Sensor {
  readonly zone: string;
  readonly fact: string;
  readonly path: string;
}

/** Reads every temperature; a zone that cannot be read now has `celsius` null. */
export async function readThermal(reading: Reading): Promise<ThermalZone[]> {
  return readTemperatures(reading, await findSensors(reading));
}

/** The sensors that tell something; whoever reads them again and again looks for them once. */
export async function findSensors(reading: Reading): Promise<readonly Sensor[]> {
  const zones = await listFolder(reading, 'thermal', ZONES, /^thermal_zone\d+$/);
  const found: Sensor[] = [];
  for (const name of zones) {
    // oxlint-disable-next-line no-await-in-loop -- in order: two zones may have one name
    const zone = await findZone(reading, name, found);
    if (zone !== null) found.push(zone);
  }
  // Zones of the firmware (acpitz) may be all that there is, and say little of the processor.
  const told = found.some(({ zone }) => PROCESSOR_ZONES.test(zone));
  const cpu = told ? [] : await findCpuSensors(reading, found);
  const all = [...found, ...cpu, ...(await findApexSensors(reading))];
  if (all.length === 0 && !reading.unknown.has('thermal')) {
    missFact(reading, 'thermal', 'no thermal zones and no CPU sensor');
  }
  return all;
}

/** Temperatures now, in the order of the sensors; null where one cannot be read. */
export async function readTemperatures(
  reading: Reading,
  sensors: readonly Sensor[],
): Promise<ThermalZone[]> {
  const read = sensors.map(async ({ zone, fact, path }) => ({
    zone,
    celsius: await readFact(reading, fact, path, parseMilliCelsius),
  }));
  return Promise.all(read);
}

/**
 * The zone with the highest temperature among those of processors; where none is named like one,
 * among all that the computation may heat. Null when nothing is known.
 */
export function hottestZone(
  zones: readonly ThermalZone[],
): { readonly zone: string; readonly celsius: number } | null {
  const known = zones.flatMap(({ zone, celsius }) =>
    celsius === null || IRRELEVANT_ZONES.test(zone) ? [] : [{ zone, celsius }],
  );
  const processors = known.filter(({ zone }) => PROCESSOR_ZONES.test(zone));
  const [first, ...others] = processors.length > 0 ? processors : known;
  if (first === undefined) return null;
  return others.reduce((best, one) => (one.celsius > best.celsius ? one : best), first);
}

/** Whether a zone is one of those that a profile names by how they begin. */
export function isNamed(zone: string, sensors: readonly string[]): boolean {
  return sensors.some((name) => zone.toLowerCase().startsWith(name.toLowerCase()));
}

/** The temperature of the hottest zone, in °C, or null. */
export function hottest(zones: readonly ThermalZone[]): number | null {
  return hottestZone(zones)?.celsius ?? null;
}

async function findZone(
  reading: Reading,
  name: string,
  before: readonly Sensor[],
): Promise<Sensor | null> {
  const folder = `${ZONES}/${name}`;
  const zone = await readFact(reading, `thermal.${name}`, `${folder}/type`, parseLine);
  if (zone === null) return null;
  // The name is only the way to the temperature; the fact is that of the zone.
  reading.sources.delete(`thermal.${name}`);
  if (CONSTANT_ZONES.test(zone)) return null;
  return { zone, fact: factOf(before, zone, name), path: `${folder}/temp` };
}

/** The fact of a sensor: by its name, and by its folder too when another one has that name. */
function factOf(before: readonly Sensor[], sensor: string, folder: string): string {
  const fact = `thermal.${sensor}`;
  return before.some((other) => other.fact === fact) ? `${fact}.${folder}` : fact;
}

async function findCpuSensors(
  reading: Reading,
  zones: readonly Sensor[],
): Promise<readonly Sensor[]> {
  const found: Sensor[] = [];
  for (const name of await listFolder(reading, 'thermal', HWMON, /^hwmon\d+$/)) {
    // oxlint-disable-next-line no-await-in-loop -- a handful of small files
    const sensor = (await readOptional(reading.tree, `${HWMON}/${name}/name`))?.trim() ?? '';
    if (!CPU_SENSORS.includes(sensor)) continue;
    const path = `${HWMON}/${name}/temp1_input`;
    found.push({ zone: sensor, fact: factOf([...zones, ...found], sensor, name), path });
  }
  return found;
}

/** PCIe Edge TPUs; the driver of the mainline kernel has no temperature. */
async function findApexSensors(reading: Reading): Promise<readonly Sensor[]> {
  const names = await listFolder(reading, 'thermal', APEX, /^apex_\d+$/);
  const found = names.map(async (name) => {
    const path = `${APEX}/${name}/temp`;
    return (await reading.tree.exists(path)) ? { zone: name, fact: `thermal.${name}`, path } : null;
  });
  return (await Promise.all(found)).filter((sensor) => sensor !== null);
}

function parseMilliCelsius(text: string): number {
  const celsius = parseInteger(text) / 1000;
  if (celsius < PLAUSIBLE_CELSIUS.lowest || celsius > PLAUSIBLE_CELSIUS.highest) {
    throw nonsense('a plausible temperature in thousandths of a degree', text);
  }
  return celsius;
}
