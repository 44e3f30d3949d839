import type { Facts } from '../contracts/facts.ts';
import { foundFact, readOptional, type Reading } from './facts-log.ts';
import { jetpackOf, readL4t } from './jetson-release.ts';
import { readCuda, readTensorrt } from './nvidia-software.ts';
import { noteMode, type PowerModes } from './power-mode.ts';
import { readTegra } from './tegra.ts';

/** What the board was flashed as. */
export const BOOT_CONTROL = '/etc/nv_boot_control.conf';
/** Modules that a later release made faster, once flashed anew for it. */
const WITH_SUPER: readonly string[] = ['jetson-orin-nano', 'jetson-orin-nx'];
const SUPER = 'jetson.superMode';

export type JetsonFacts = NonNullable<Facts['jetson']>;

/** Release, libraries and power mode of a Jetson; undefined for every other machine. */
export async function readJetson(
  reading: Reading,
  board: { readonly id: string; readonly compatible: readonly string[] },
  modes: PowerModes,
): Promise<JetsonFacts | undefined> {
  const tegra = await readTegra(reading, board.compatible);
  if (tegra === null) return undefined;
  const l4t = await readL4t(reading);
  noteMode(reading, 'jetson.powerMode', modes);
  return {
    soc: tegra.soc,
    l4t,
    jetpack: jetpackOf(reading, l4t),
    cuda: await readCuda(reading),
    tensorrt: await readTensorrt(reading),
    powerMode: modes.current,
    powerModes: [...modes.all],
    superMode: WITH_SUPER.includes(board.id) ? await readSuper(reading, board.compatible) : null,
  };
}

/** The TNSPEC of nv_boot_control.conf (`3767-300-0005-R.1-1-1-jetson-orin-nano-devkit-super-`). */
export async function readBootControl(reading: Reading): Promise<string | null> {
  const text = (await readOptional(reading.tree, BOOT_CONTROL)) ?? '';
  return /^TNSPEC\s+([\x21-\x7e]{1,120})\s*$/m.exec(text)?.[1] ?? null;
}

/** Without "-super" in what was flashed, the modes of 25 W and MAXN_SUPER do not exist. */
async function readSuper(reading: Reading, compatible: readonly string[]): Promise<boolean | null> {
  const source = reading.sources.get('board.compatible');
  if (compatible.some((entry) => entry.endsWith('-super')) && source !== undefined) {
    foundFact(reading, SUPER, source);
    return true;
  }
  const tnspec = await readBootControl(reading);
  if (tnspec === null) return null;
  foundFact(reading, SUPER, BOOT_CONTROL);
  return /-super(-|$)/.test(tnspec);
}
