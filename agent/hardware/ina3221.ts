// Power monitors of Jetsons. NVIDIA's own driver (L4T up to 32) has an iio device that gives power in
// mW; the mainline driver (from 34) has a hwmon whose number changes from boot to boot, with mV and mA.
import { listFolder, missFact, readFact, readOptional, type Reading } from './facts-log.ts';
import { nonsense } from './error.ts';
import { parseInteger } from './parse.ts';
import { isRail, type Rail } from './rails.ts';

const OLD_DRIVER = '/sys/bus/i2c/drivers/ina3221x';
const NEW_DRIVER = '/sys/bus/i2c/drivers/ina3221';
const HWMON = '/sys/class/hwmon';
/** The chip has three; higher numbers are computed by the driver. */
const CHANNELS = [1, 2, 3] as const;
const BUS_ADDRESS = /^\d+-[0-9a-f]{4}$/;
/** More than any board draws. */
const MOST_MILLIWATTS = 1_000_000;

/** Where one rail is measured: a file in mW, or two whose product is in µW. */
export interface RailFiles {
  readonly name: string;
  readonly milliwatts?: string;
  readonly millivolts?: string;
  readonly milliamperes?: string;
}

/** Finds every labelled channel once; reading them is then a few small files. */
export async function findIna3221(reading: Reading): Promise<readonly RailFiles[]> {
  const old = await foldersOf(reading, OLD_DRIVER, '', /^iio:device\d+$/);
  const current = await foldersOf(reading, NEW_DRIVER, '/hwmon', /^hwmon\d+$/);
  // A container may see the class and not the bus.
  const hwmons = current.length > 0 ? current : await byClass(reading);
  const found = await Promise.all([
    ...old.map((folder) => channelsOf(reading, folder, [0, 1, 2], oldChannel)),
    ...hwmons.map((folder) => channelsOf(reading, folder, CHANNELS, newChannel)),
  ]);
  return found.flat();
}

async function byClass(reading: Reading): Promise<readonly string[]> {
  const names = await listFolder(reading, 'power', HWMON, /^hwmon\d+$/);
  const chips = names.map(async (name) => {
    const chip = (await readOptional(reading.tree, `${HWMON}/${name}/name`))?.trim();
    return chip === 'ina3221' ? [`${HWMON}/${name}`] : [];
  });
  return (await Promise.all(chips)).flat();
}

async function foldersOf(
  reading: Reading,
  driver: string,
  inside: string,
  form: RegExp,
): Promise<readonly string[]> {
  const chips = await listFolder(reading, 'power', driver, BUS_ADDRESS);
  const folders = chips.map(async (chip) => {
    const parent = `${driver}/${chip}${inside}`;
    return (await listFolder(reading, 'power', parent, form)).map((name) => `${parent}/${name}`);
  });
  return (await Promise.all(folders)).flat();
}

interface Channel {
  readonly label: string;
  readonly files: Omit<RailFiles, 'name'>;
}

function oldChannel(folder: string, at: number): Channel {
  return {
    label: `${folder}/rail_name_${at}`,
    files: { milliwatts: `${folder}/in_power${at}_input` },
  };
}

function newChannel(folder: string, at: number): Channel {
  return {
    label: `${folder}/in${at}_label`,
    files: { millivolts: `${folder}/in${at}_input`, milliamperes: `${folder}/curr${at}_input` },
  };
}

async function channelsOf(
  { tree }: Reading,
  folder: string,
  numbers: readonly number[],
  channel: (folder: string, at: number) => Channel,
): Promise<readonly RailFiles[]> {
  const found = numbers.map(async (at) => {
    const { label, files } = channel(folder, at);
    const name = (await readOptional(tree, label))?.trim() ?? '';
    return isRail(name) && /^[\w.+-]{1,40}$/.test(name) ? [{ name, ...files }] : [];
  });
  return (await Promise.all(found)).flat();
}

/** Power of every rail now; one that cannot be read is left out and noted under `power.NAME`. */
export async function readRails(
  reading: Reading,
  rails: readonly RailFiles[],
): Promise<readonly Rail[]> {
  const read = rails.map(async (rail) => {
    const milliwatts = await readRail(reading, rail);
    return milliwatts === null ? [] : [{ name: rail.name, milliwatts }];
  });
  return (await Promise.all(read)).flat();
}

async function readRail(
  reading: Reading,
  { name, milliwatts, millivolts, milliamperes }: RailFiles,
): Promise<number | null> {
  const fact = `power.${name}`;
  if (milliwatts !== undefined) return readFact(reading, fact, milliwatts, parseMilliwatts);
  const [voltage, current] = await Promise.all([
    readFact(reading, `${fact}.millivolts`, millivolts ?? [], parseInteger),
    readFact(reading, `${fact}.milliamperes`, milliamperes ?? [], parseInteger),
  ]);
  if (voltage === null || current === null) return null;
  const power = (voltage * current) / 1000;
  if (Math.abs(power) <= MOST_MILLIWATTS) return power;
  missFact(reading, fact, `${millivolts}: ${voltage} mV times ${current} mA is no board's power`);
  return null;
}

function parseMilliwatts(text: string): number {
  const value = parseInteger(text);
  if (Math.abs(value) > MOST_MILLIWATTS) throw nonsense('a power in milliwatts', text);
  return value;
}
