// Which Tegra a Jetson has. The device tree tells; Docker hides it (it masks /sys/firmware), and then
// the chip's own number remains, or the release that NVIDIA's container runtime hands in.
import { isTegra } from './board-ids.ts';
import { readOptional, type Reading } from './facts-log.ts';
import { RELEASE } from './jetson-release.ts';

const CHIP_ID = '/sys/module/tegra_fuse/parameters/tegra_chip_id';
const SOC = '/sys/devices/soc0';
/** The numbers are decimal: 35 is 0x23, of Tegra234. Thor's has not been seen. */
const CHIPS = new Map([
  ['33', 'tegra210'],
  ['24', 'tegra186'],
  ['25', 'tegra194'],
  ['35', 'tegra234'],
]);
/** Tegra20, 30, 114, 124 and 132, which TensorRT has never run on. */
const OLDER: readonly string[] = ['32', '48', '53', '64', '19'];

export interface Tegra {
  /** `tegra234`; null for one that is not known by its number. */
  readonly soc: string | null;
  /** The file that told. */
  readonly source: string;
}

/** The SoC of a Jetson, or null for every other machine. */
export async function readTegra(
  reading: Reading,
  compatible: readonly string[],
): Promise<Tegra | null> {
  if (isTegra(compatible)) {
    // Any entry may name it: JetPack 5 ends with the family `nvidia,tegra23x`.
    const named = compatible.flatMap((entry) => /^nvidia,(tegra\d{3})$/.exec(entry)?.[1] ?? [])[0];
    const source = reading.sources.get('board.compatible') ?? '/proc/device-tree/compatible';
    return { soc: named ?? (await byNumber(reading))?.soc ?? null, source };
  }
  if (compatible.length > 0) return null;
  const numbered = await byNumber(reading);
  if (numbered !== null) return numbered;
  return (await reading.tree.exists(RELEASE)) ? { soc: null, source: RELEASE } : null;
}

async function byNumber({ tree }: Reading): Promise<Tegra | null> {
  const text = async (path: string) => (await readOptional(tree, path))?.trim() ?? '';
  const fused = CHIPS.get(await text(CHIP_ID));
  if (fused !== undefined) return { soc: fused, source: CHIP_ID };
  // Other makers number their chips in the same file.
  if ((await text(`${SOC}/family`)) !== 'Tegra') return null;
  const id = await text(`${SOC}/soc_id`);
  return OLDER.includes(id) ? null : { soc: CHIPS.get(id) ?? null, source: `${SOC}/soc_id` };
}
