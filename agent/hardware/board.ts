import type { Facts } from '../contracts/facts.ts';
import {
  boardOfCompatible,
  boardOfRevision,
  boardOfTnspec,
  genericBoard,
  isTegra,
} from './board-ids.ts';
import { parseCpuinfo, revisionOf } from './cpuinfo.ts';
import { nonsense } from './error.ts';
import { foundFact, readFact, readOptional, type Reading } from './facts-log.ts';
import { readBootControl, BOOT_CONTROL } from './jetson.ts';
import { parseLine } from './parse.ts';

/** /proc/device-tree is a link to the second on a real system; a recording may hold either. */
const DEVICE_TREE = ['/proc/device-tree', '/sys/firmware/devicetree/base'];
const PRODUCT_NAME = '/sys/class/dmi/id/product_name';
const CPUINFO = '/proc/cpuinfo';
const MAX_COMPATIBLE = 64;

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
  const model = await readFact(reading, 'board.model', [...models, PRODUCT_NAME], parseLine);
  const id = boardOfCompatible(compatible, model);
  if (id !== null) {
    const source = reading.sources.get('board.compatible');
    if (source !== undefined) foundFact(reading, 'board.id', source);
    return { id, model, compatible: [...compatible] };
  }
  const tnspec = isTegra(compatible) ? await readBootControl(reading) : null;
  const module = tnspec === null ? null : boardOfTnspec(tnspec);
  if (module !== null) {
    foundFact(reading, 'board.id', BOOT_CONTROL);
    return { id: module, model, compatible: [...compatible] };
  }
  return { id: await otherBoard(reading, arch), model, compatible: [...compatible] };
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

/** NUL-terminated strings, the most specific first. */
function parseCompatible(text: string): readonly string[] {
  const entries = text.split('\0').filter((entry) => entry.trim() !== '');
  const sound = entries.every((entry) => /^[\x21-\x7e]{1,128}$/.test(entry));
  if (entries.length === 0 || entries.length > MAX_COMPATIBLE || !sound) {
    throw nonsense('NUL-separated compatible strings', text);
  }
  return entries;
}
