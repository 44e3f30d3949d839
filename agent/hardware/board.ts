import type { Facts } from '../contracts/facts.ts';
import {
  boardOfCompatible,
  boardOfModule,
  boardOfRevision,
  boardOfSoc,
  boardOfTnspec,
  genericBoard,
} from './board-ids.ts';
import { parseCpuinfo, revisionOf } from './cpuinfo.ts';
import { nonsense } from './error.ts';
import { foundFact, readFact, readOptional, type Reading } from './facts-log.ts';
import { readBootControl, BOOT_CONTROL } from './jetson.ts';
import { parseLine } from './parse.ts';
import { readTegra } from './tegra.ts';

/** /proc/device-tree is a link to the second on a real system; a recording may hold either. */
const DEVICE_TREE = ['/proc/device-tree', '/sys/firmware/devicetree/base'];
/** The second names the mainboard, for machines that were put together from parts. */
const DMI = ['product_name', 'board_name'].map((name) => `/sys/class/dmi/id/${name}`);
const CPUINFO = '/proc/cpuinfo';
const MAX_COMPATIBLE = 64;
/** JetPack 4 and 5 only: `3448:0002:400:B.0` and `tegra210-p3448-0002-p3449-0000-b00.dts`. */
const MODULE_FILES = ['nvidia,boardids', 'nvidia,dtsfilename'].map(
  (name) => `${DEVICE_TREE[0]}/${name}`,
);
/** What makers leave in DMI tables that nobody filled in. */
const PLACEHOLDER =
  /^(?:to be filled by o\.?e\.?m\.?|default string|system (?:product name|version)|product name|not (?:specified|applicable)|none|n\/a|unknown|o\.?e\.?m\.?|x+|0+)$/i;

/** Reads which board this is. DMI only names machines that have no device tree: on Jetsons it lies. */
export async function readBoard(reading: Reading, arch: string): Promise<Facts['board']> {
  const optional = { optional: true };
  const compatible =
    (await readFact(
      reading,
      'board.compatible',
      DEVICE_TREE.map((folder) => `${folder}/compatible`),
      parseCompatible,
      optional,
    )) ?? [];
  const models = DEVICE_TREE.map((folder) => `${folder}/model`);
  const model = await readFact(reading, 'board.model', [...models, ...DMI], parseName);
  const id = boardOfCompatible(compatible, model);
  if (id !== null) {
    const source = reading.sources.get('board.compatible');
    if (source !== undefined) foundFact(reading, 'board.id', source);
    return { id, model, compatible: [...compatible] };
  }
  const jetson = await unnamedJetson(reading, compatible);
  if (jetson !== null) foundFact(reading, 'board.id', jetson.source);
  return {
    id: jetson?.id ?? (await otherBoard(reading, arch)),
    model,
    compatible: [...compatible],
  };
}

/** A Jetson module on somebody else's carrier, or in a container that hides the device tree. */
async function unnamedJetson(
  reading: Reading,
  compatible: readonly string[],
): Promise<{ readonly id: string; readonly source: string } | null> {
  const tegra = await readTegra(reading, compatible);
  if (tegra === null) return null;
  const tnspec = await readBootControl(reading);
  const flashed = tnspec === null ? null : boardOfTnspec(tnspec);
  if (flashed !== null) return { id: flashed, source: BOOT_CONTROL };
  for (const source of MODULE_FILES) {
    // oxlint-disable-next-line no-await-in-loop -- the second is only a fallback
    const text = (await readOptional(reading.tree, source)) ?? '';
    const parts = [...text.matchAll(/(?<!\d)(\d{4})[:-](\d{4})(?!\d)/g)];
    const id = parts.flatMap(([, module, sku]) => boardOfModule(`p${module}-${sku}`) ?? [])[0];
    if (id !== undefined) return { id, source };
  }
  const id = tegra.soc === null ? null : boardOfSoc(tegra.soc);
  return id === null ? null : { id, source: tegra.source };
}

async function otherBoard(reading: Reading, arch: string): Promise<string> {
  const text = await readOptional(reading.tree, CPUINFO);
  const revision = text === null ? null : revisionIn(text);
  const pi = revision === null ? null : boardOfRevision(revision);
  const source = pi === null ? reading.sources.get('cpu.arch') : CPUINFO;
  if (source !== undefined) foundFact(reading, 'board.id', source);
  return pi ?? genericBoard(arch);
}

function revisionIn(text: string): number | null {
  try {
    return revisionOf(parseCpuinfo(text));
  } catch {
    // Unreadable cpuinfo is already noted by the CPU's own facts.
    return null;
  }
}

function parseName(text: string): string {
  const name = parseLine(text);
  if (PLACEHOLDER.test(name)) throw nonsense('the name of a machine', name);
  return name;
}

/** NUL-terminated strings, the most specific first. */
function parseCompatible(text: string): readonly string[] {
  const entries = text.split('\0').filter((entry) => entry.trim() !== '');
  const sound = entries.every((entry) => /^[\x21-\x7e]{1,128}$/.test(entry));
  if (entries.length === 0 || entries.length > MAX_COMPATIBLE || !sound) {
    throw nonsense('NUL-separated compatible strings', text);
  }
  return entries;
}
