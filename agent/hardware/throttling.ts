import type { Facts } from '../contracts/facts.ts';
import { messageOf } from '../util/errors.ts';
import { nonsense } from './error.ts';
import {
  foundFact,
  listFolder,
  missFact,
  readFact,
  readOptional,
  type Reading,
} from './facts-log.ts';
import { parseHex, parseInteger } from './parse.ts';
import { VCGENCMD, askVcgencmd, findTool } from './vcgencmd.ts';

export type Throttling = NonNullable<Facts['throttling']>;

export const FACT = 'throttling';
const PLATFORM = '/sys/devices/platform';
/** `soc`, and with its address in device trees such as that of the Pi 5: `soc@107c000000`. */
const SOC = /^soc(@[0-9a-f]+)?$/;
const HWMON = '/sys/class/hwmon';
export const CORE_COUNT = '/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count';

/** Bits of the Raspberry Pi firmware's get_throttled; 16 higher: the same, since boot. */
const FIRMWARE_BITS: readonly (readonly [bit: number, name: string])[] = [
  [0, 'under-voltage'],
  [1, 'frequency-capped'],
  [2, 'throttled'],
  [3, 'soft-temperature-limit'],
];
const SINCE_BOOT = 16;

/** Decodes get_throttled: `50005`, `0x50005` or vcgencmd's `throttled=0x50005`. */
export function parseThrottled(text: string): Throttling {
  const bits = parseHex(text.replace(/^throttled=/, ''));
  const set = (shift: number) =>
    FIRMWARE_BITS.filter(([bit]) => ((bits >>> (bit + shift)) & 1) === 1).map(([, name]) => name);
  return { now: set(0), sinceBoot: set(SINCE_BOOT) };
}

/** Why the machine runs slower than it could, now and since boot; null where nothing tells. */
export async function readThrottling(reading: Reading): Promise<Facts['throttling']> {
  const optional = { optional: true };
  const firmware = await readFirmware(reading, await firmwareFiles(reading));
  if (firmware !== null) return firmware;
  const told = await askFirmware(reading);
  if (told !== null) return told;
  const voltage = await readVoltageAlarm(reading);
  if (voltage !== null) return voltage;
  const count = await readFact(reading, FACT, CORE_COUNT, parseInteger, optional);
  if (count !== null) return { now: [], sinceBoot: count > 0 ? ['throttled'] : [] };
  if (!reading.unknown.has(FACT)) missFact(reading, FACT, 'no throttling counter on this machine');
  return null;
}

/** Where the firmware of a Raspberry Pi may tell. */
async function firmwareFiles(reading: Reading): Promise<readonly string[]> {
  const names = await listFolder(reading, FACT, PLATFORM, SOC);
  return names.map((soc) => `${PLATFORM}/${soc}/${soc}:firmware/get_throttled`);
}

/** The bits in the first of these files that is there; null without any. */
export async function readFirmware(
  reading: Reading,
  files: readonly string[],
): Promise<Throttling | null> {
  if (files.length === 0) return null;
  return readFact(reading, FACT, files, parseThrottled, { optional: true });
}

/** Whether a source is one of the firmware's own files. */
export function isFirmwareFile(source: string): boolean {
  return source.startsWith(`${PLATFORM}/soc`);
}

/**
 * The same bits from the Raspberry Pi's own tool, where the kernel has no file for them. A recording
 * cannot be asked.
 */
export async function askFirmware(
  reading: Reading,
  tools: readonly string[] = VCGENCMD,
): Promise<Throttling | null> {
  const tool = await findTool(reading.tree, tools);
  if (tool === undefined) return null;
  try {
    const throttling = parseThrottled(await askVcgencmd(tool, 'get_throttled'));
    foundFact(reading, FACT, tool);
    return throttling;
  } catch (error) {
    missFact(reading, FACT, `${tool}: ${messageOf(error).replaceAll(/\s+/g, ' ')}`);
    return null;
  }
}

/** Newer Pi kernels keep only the under-voltage alarm, on a hwmon whose number varies. */
async function readVoltageAlarm(reading: Reading): Promise<Throttling | null> {
  for (const name of await listFolder(reading, FACT, HWMON, /^hwmon\d+$/)) {
    const folder = `${HWMON}/${name}`;
    // oxlint-disable-next-line no-await-in-loop -- a handful of small files
    if ((await readOptional(reading.tree, `${folder}/name`))?.trim() !== 'rpi_volt') continue;
    const path = `${folder}/in0_lcrit_alarm`;
    // oxlint-disable-next-line no-await-in-loop -- the one that matched
    const alarm = await readFact(reading, FACT, path, parseAlarm);
    if (alarm === null) return null;
    foundFact(reading, FACT, path);
    return { now: alarm ? ['under-voltage'] : [], sinceBoot: [] };
  }
  return null;
}

function parseAlarm(text: string): boolean {
  if (!/^\s*[01]\s*$/.test(text)) throw nonsense('0 or 1', text);
  return text.trim() === '1';
}
