import { nonsense } from './error.ts';
import { listFolder, readFact, readOptional, type Reading } from './facts-log.ts';
import { parseInteger } from './parse.ts';

const DEVFREQ = '/sys/class/devfreq';
/** Names of GPU nodes in device trees: `gpu`, or the chip's name on Jetsons. */
const NODE_NAMES = /^(gpu|gp10b|gv11b|ga10b|gb10b)$/;
/** Where no node is linked, the folder's own name tells: `17000000.gv11b`, and `gpu-gpc-0` on Thor. */
const FOLDER_NAMES = /^([0-9a-f]+\.(gpu|gp10b|gv11b|ga10b|gb10b)|gpu-gpc-0)$/;
const LOADS = ['/sys/devices/gpu.0/load', '/sys/devices/platform/gpu.0/load'];

/** Files that tell what the GPU does. */
export interface GpuFiles {
  /** The clock's folder, with cur_freq, min_freq and max_freq in Hz. */
  readonly folder?: string;
  /** Tenths of a percent. */
  readonly load?: string;
}

export interface GpuState {
  readonly frequencyHz: number | null;
  /** 0 to 1. */
  readonly loadShare: number | null;
}

/** Finds the clock and the load of the GPU; null where there is neither. */
export async function findGpu(reading: Reading): Promise<GpuFiles | null> {
  const folder = await findClock(reading);
  const places = folder === undefined ? LOADS : [...LOADS, `${folder}/device/load`];
  const there = await Promise.all(places.map((path) => reading.tree.exists(path)));
  const load = places.find((_, at) => there[at]);
  if (folder === undefined && load === undefined) return null;
  return { ...(folder === undefined ? {} : { folder }), ...(load === undefined ? {} : { load }) };
}

async function findClock(reading: Reading): Promise<string | undefined> {
  const folders = await listFolder(reading, 'gpu', DEVFREQ, /^[\w.@:-]+$/);
  const isGpu = folders.map(async (name) => {
    const node = await readOptional(reading.tree, `${DEVFREQ}/${name}/device/of_node/name`);
    return node === null ? FOLDER_NAMES.test(name) : NODE_NAMES.test(node.replace(/[\0\s]+$/, ''));
  });
  const found = await Promise.all(isGpu);
  const name = folders.find((_, at) => found[at]);
  return name === undefined ? undefined : `${DEVFREQ}/${name}`;
}

/** Clock and load now. */
export async function readGpu(reading: Reading, { folder, load }: GpuFiles): Promise<GpuState> {
  const [frequencyHz, loadShare] = await Promise.all([
    folder === undefined
      ? null
      : readFact(reading, 'gpu.frequencyHz', `${folder}/cur_freq`, parseHz),
    load === undefined ? null : readFact(reading, 'gpu.loadShare', load, parseTenthsOfPercent),
  ]);
  return { frequencyHz, loadShare };
}

function parseHz(text: string): number {
  const value = parseInteger(text);
  // A GPU that is switched off says 0.
  if (value < 0) throw nonsense('a frequency', text);
  return value;
}

function parseTenthsOfPercent(text: string): number {
  const value = parseInteger(text);
  if (value < 0 || value > 1000) throw nonsense('a load from 0 to 1000', text);
  return value / 1000;
}
