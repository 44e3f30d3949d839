import type { ThermalLimit } from '../contracts/profile.ts';
import { findCoolingDevices, readCooling, readTrip } from './cooling.ts';
import { cpufreq, readCurrentHz, readLimitHz } from './cpufreq.ts';
import { listFolder, readOptional, startReading, type Reading } from './facts-log.ts';
import { watchFirmware } from './firmware-heat.ts';
import { findGpu, readGpu } from './gpu.ts';
import { quickTree } from './quick-tree.ts';
import {
  findSensors,
  hottestZone,
  isNamed,
  readTemperatures,
  type Sensor,
  type ThermalZone,
} from './thermal.ts';
import { watchThrottling, type ThrottlingState } from './throttling-watch.ts';
import { openTree } from './tree.ts';
import { VCGENCMD } from './vcgencmd.ts';

/** What a machine does beside its load. */
export interface HeatSample {
  /** The hottest zone that the computation heats, and its name. */
  readonly celsius: number | null;
  readonly zone: string | null;
  /** The fastest-running core. */
  readonly frequencyHz: number | null;
  /** The highest clock that any core may have now. */
  readonly limitHz: number | null;
  readonly gpuHz: number | null;
  /** 0 to 1. */
  readonly gpuLoadShare: number | null;
  readonly throttling: ThrottlingState | null;
  /** Zones that have reached the temperature from which the kernel slows the machine down. */
  readonly tripped: readonly string[];
  /** What the kernel slows down now to cool the machine. */
  readonly cooling: readonly string[];
}

/** Reads a machine's heat, clocks and throttling as often as wanted. */
export interface HeatReader {
  readonly governor: string | null;
  /** Whether a core under load at a fixed governor has exactly its limit: not where it may boost. */
  readonly steadyClock: boolean;
  /** Whether a file tells the load of the GPU. */
  readonly knowsGpuLoad: boolean;
  /** `fresh`: also asks programs anew, which costs more. */
  read(options?: { readonly fresh?: boolean }): Promise<HeatSample>;
}

const CPUS = '/sys/devices/system/cpu';
const MAX_CORES = 8;
/** x86 drivers give a limit that all cores together never reach. */
const BOOSTING_DRIVERS = /^(intel|amd|acpi|pcc|powernow)/;

export interface HeatOptions {
  /** From where on a board runs slower, by its profile: where neither trip points nor firmware tell. */
  readonly limit?: Pick<ThermalLimit, 'throttleCelsius' | 'sensors'> | undefined;
  /** Where the tool is, in place of the usual paths. */
  readonly vcgencmd?: readonly string[];
}

/** Looks for the files once; a reading is then a dozen small ones, cheap beside a load. */
export async function openHeat(
  root?: string,
  { limit, vcgencmd = VCGENCMD }: HeatOptions = {},
): Promise<HeatReader> {
  const reading = startReading(quickTree(await openTree(root)));
  const cores = await findCores(reading);
  const sensors = await findSensors(reading);
  const throttling = await watchThrottling(reading);
  // A firmware that says when it slows down knows better than a profile.
  const isTold = (await throttling(true)) !== null;
  const byProfile = isTold ? undefined : limit;
  const trips = await Promise.all(sensors.map((sensor) => tripOf(reading, sensor, byProfile)));
  const devices = await findCoolingDevices(reading);
  const gpu = await findGpu(reading);
  const firmware = sensors.length === 0 ? await watchFirmware(reading.tree, vcgencmd) : null;
  const setting = async (name: string) => {
    const path = `${cpufreq(cores[0] ?? 0)}/${name}`;
    return (await readOptional(reading.tree, path))?.trim() ?? null;
  };
  const driver = await setting('scaling_driver');
  return {
    governor: await setting('scaling_governor'),
    steadyClock: driver !== null && !BOOSTING_DRIVERS.test(driver),
    knowsGpuLoad: gpu?.load !== undefined,
    read: async ({ fresh = false } = {}) => {
      const [zones, frequencyHz, limitHz, gpuState, state, cooling, told] = await Promise.all([
        readTemperatures(reading, sensors),
        readCurrentHz(reading, cores),
        readLimitHz(reading, cores),
        gpu === null ? null : readGpu(reading, gpu),
        throttling(fresh),
        readCooling(reading, devices),
        firmware === null ? null : firmware(fresh),
      ]);
      const { zone = null, celsius = null } = hottestZone(zones) ?? {};
      const asked = told?.celsius ?? null;
      return {
        celsius: celsius ?? asked,
        zone: zone ?? (asked === null ? null : 'firmware'),
        frequencyHz: frequencyHz ?? told?.frequencyHz ?? null,
        limitHz,
        gpuHz: gpuState?.frequencyHz ?? null,
        gpuLoadShare: gpuState?.loadShare ?? null,
        throttling: state,
        tripped: trippedOf(zones, trips),
        cooling,
      };
    },
  };
}

async function tripOf(
  reading: Reading,
  sensor: Sensor,
  limit: HeatOptions['limit'],
): Promise<number | null> {
  const trip = await readTrip(reading, sensor);
  if (trip !== null || limit === undefined) return trip;
  return isNamed(sensor.zone, limit.sensors) ? limit.throttleCelsius : null;
}

/** Cores with a clock of their own: of those that share one, the first. */
async function findCores(reading: Reading): Promise<readonly number[]> {
  const names = await listFolder(reading, 'cpu', CPUS, /^cpu\d+$/);
  const seen = new Set<string>();
  const cores: number[] = [];
  for (const name of names) {
    const cpu = Number(name.slice('cpu'.length));
    // oxlint-disable-next-line no-await-in-loop -- once per run
    const siblings = await readOptional(reading.tree, `${cpufreq(cpu)}/related_cpus`);
    if (siblings !== null && seen.has(siblings.trim())) continue;
    if (siblings !== null) seen.add(siblings.trim());
    cores.push(cpu);
  }
  // Big cores often have the higher numbers, and they are the ones that get throttled.
  return cores.slice(-MAX_CORES);
}

function trippedOf(
  zones: readonly ThermalZone[],
  trips: readonly (number | null)[],
): readonly string[] {
  return zones.flatMap(({ zone, celsius }, at) => {
    const trip = trips[at] ?? null;
    return celsius !== null && trip !== null && celsius >= trip ? [zone] : [];
  });
}
