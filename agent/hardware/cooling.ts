// How the kernel keeps a machine cool: temperatures at which it acts, and the devices it slows down.
import { listFolder, readFact, readOptional, type Reading } from './facts-log.ts';
import { parseInteger } from './parse.ts';
import type { Sensor } from './thermal.ts';

const THERMAL = '/sys/class/thermal';
/** From these on the kernel slows the processor down or switches it off; `active` is a fan. */
const SLOWING_TRIPS: readonly string[] = ['passive', 'hot', 'critical'];
/** Cooling by a slower clock. Fans cool too, and settings such as "TCC Offset" are no state of heat. */
const SLOWING_DEVICES = /cpufreq|devfreq|^Processor$|throttle|balanced/i;
/** One per core on some machines, and all alike. */
const MAX_DEVICES = 8;

export interface CoolingDevice {
  readonly type: string;
  readonly path: string;
}

/**
 * The temperature in °C from which the kernel slows the machine down because of this sensor; null
 * without one. The power allocator starts to regulate at the first passive trip and holds the last
 * one; the other governors act at the first. Trips of 0 and below are not set.
 */
export async function readTrip({ tree }: Reading, { path }: Sensor): Promise<number | null> {
  if (!path.startsWith(THERMAL)) return null;
  const folder = path.slice(0, path.lastIndexOf('/'));
  const names = await tree.list(folder).catch(() => []);
  const trips = names.flatMap((name) => /^trip_point_(\d+)_type$/.exec(name)?.[1] ?? []);
  const read = trips.map(async (at) => {
    const [type, temp] = await Promise.all(
      ['type', 'temp'].map((what) => readOptional(tree, `${folder}/trip_point_${at}_${what}`)),
    );
    const celsius = Number(temp?.trim() || Number.NaN) / 1000;
    const slows = SLOWING_TRIPS.includes(type?.trim() ?? '') && celsius > 0;
    return slows ? [{ passive: type?.trim() === 'passive', celsius }] : [];
  });
  const slowing = (await Promise.all(read)).flat();
  const policy = (await readOptional(tree, `${folder}/policy`))?.trim();
  return tripOf(slowing, policy === 'power_allocator');
}

function tripOf(
  trips: readonly { readonly passive: boolean; readonly celsius: number }[],
  allocator: boolean,
): number | null {
  const passive = trips.filter((trip) => trip.passive).map(({ celsius }) => celsius);
  if (passive.length > 0) return allocator ? Math.max(...passive) : Math.min(...passive);
  return trips.length === 0 ? null : Math.min(...trips.map(({ celsius }) => celsius));
}

/** Finds what the kernel would slow down. */
export async function findCoolingDevices(reading: Reading): Promise<readonly CoolingDevice[]> {
  const names = await listFolder(reading, 'cooling', THERMAL, /^cooling_device\d+$/);
  const found = names.map(async (name) => {
    const type = (await readOptional(reading.tree, `${THERMAL}/${name}/type`))?.trim() ?? '';
    return SLOWING_DEVICES.test(type) && /^[\w .:-]{1,60}$/.test(type)
      ? [{ type, path: `${THERMAL}/${name}/cur_state` }]
      : [];
  });
  return (await Promise.all(found)).flat().slice(0, MAX_DEVICES);
}

/** Names of those that are slowed down now. */
export async function readCooling(
  reading: Reading,
  devices: readonly CoolingDevice[],
): Promise<readonly string[]> {
  const read = devices.map(async ({ type, path }) => {
    const state = await readFact(reading, `cooling.${type}`, path, parseInteger);
    return state !== null && state > 0 ? [type] : [];
  });
  return [...new Set((await Promise.all(read)).flat())];
}
