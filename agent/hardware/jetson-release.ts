// Which release of NVIDIA's software a Jetson runs. L4T is the system, JetPack the bundle that it
// came with; people know the second, files name the first.
import { nonsense } from './error.ts';
import { foundFact, missFact, readFact, readOptional, type Reading } from './facts-log.ts';

export const RELEASE = '/etc/nv_tegra_release';
const DPKG_STATUS = '/var/lib/dpkg/status';
const L4T = 'jetson.l4t';
const JETPACK = 'jetson.jetpack';

/** L4T -> JetPack, from jetson_stats (jetson_variables.py). A release is followed by its updates. */
const JETPACKS = new Map([
  ['28.1.0', '3.1'],
  ['28.2.0', '3.2'],
  ['28.4.0', '3.3.3'],
  ['31.1.0', '4.1.1'],
  ['32.1.0', '4.2'],
  ['32.2.0', '4.2.1'],
  ['32.2.1', '4.2.2'],
  ['32.2.3', '4.2.3'],
  ['32.3.1', '4.3'],
  ['32.4.2', '4.4 DP'],
  ['32.4.3', '4.4'],
  ['32.4.4', '4.4.1'],
  ['32.5.0', '4.5'],
  ['32.5.1', '4.5.1'],
  ['32.5.2', '4.5.1'],
  ['32.6.1', '4.6'],
  ['32.7.1', '4.6.1'],
  ['32.7.2', '4.6.2'],
  ['32.7.3', '4.6.3'],
  ['32.7.4', '4.6.4'],
  ['32.7.5', '4.6.5'],
  ['32.7.6', '4.6.6'],
  ['34.1.0', '5.0 DP'],
  ['34.1.1', '5.0.1 DP'],
  ['35.1.0', '5.0.2'],
  ['35.2.1', '5.1'],
  ['35.3.1', '5.1.1'],
  ['35.4.1', '5.1.2'],
  ['35.5.0', '5.1.3'],
  ['35.6.0', '5.1.4'],
  ['35.6.1', '5.1.5'],
  ['35.6.2', '5.1.6'],
  ['36.2.0', '6.0 DP'],
  ['36.3.0', '6.0'],
  ['36.4.0', '6.1'],
  ['36.4.3', '6.2'],
  ['36.4.4', '6.2.1'],
  ['36.4.7', '6.2.1'],
  ['36.5.0', '6.2.2'],
  ['38.2.0', '7.0'],
  ['38.2.1', '7.0'],
  ['38.4.0', '7.1'],
  ['39.2.0', '7.2'],
]);
/** What the number before the first point says where the whole is not in the table. */
const JETPACK_SERIES = new Map([
  ['28', '3'],
  ['31', '4'],
  ['32', '4'],
  ['34', '5'],
  ['35', '5'],
  ['36', '6'],
  ['38', '7'],
  ['39', '7'],
]);

/** `36.4.3` from the first line of nv_tegra_release. Its BOARD is not the board: many share t186ref. */
export function parseRelease(text: string): string {
  const [line = ''] = text.split('\n');
  const [, major, revision] =
    /^# R(\d{2,3}) \(release\), REVISION: (\d+(?:\.\d+)*)/.exec(line) ?? [];
  if (major === undefined || revision === undefined) {
    throw nonsense('"# R36 (release), REVISION: 4.3, ..."', line);
  }
  return `${major}.${revision}`;
}

/** Reads the L4T release: its own file, else the version of the package that every release has. */
export async function readL4t(reading: Reading): Promise<string | null> {
  const told = await readFact(reading, L4T, RELEASE, parseRelease);
  if (told !== null) return told;
  const status = await readOptional(reading.tree, DPKG_STATUS);
  const installed = status === null ? null : versionOf(status, /^nvidia-l4t-core$/);
  if (installed === null) return null;
  foundFact(reading, L4T, DPKG_STATUS);
  return installed.split('-')[0] ?? null;
}

/** The JetPack of an L4T release: `6.2`, or `6` for a release that is newer than the table. */
export function jetpackOf(reading: Reading, l4t: string | null): string | null {
  // Packages and people write 32.5 for 32.5.0.
  const known = JETPACKS.get(l4t ?? '') ?? JETPACKS.get(`${l4t}.0`);
  const series = JETPACK_SERIES.get(l4t?.split('.')[0] ?? '');
  const source = reading.sources.get(L4T);
  if (known === undefined) {
    const why = l4t === null ? 'the L4T release is not known' : `L4T ${l4t} is not in the table`;
    missFact(reading, JETPACK, why);
  } else if (source !== undefined) foundFact(reading, JETPACK, source);
  return known ?? series ?? null;
}

/** The version of an installed package in dpkg's status file, or null. */
export function versionOf(status: string, name: RegExp): string | null {
  for (const block of status.split(/\n\n+/)) {
    const field = (key: string) => new RegExp(`^${key}: (.+)$`, 'm').exec(block)?.[1]?.trim();
    if (!name.test(field('Package') ?? '')) continue;
    if (/ (installed|half-configured|unpacked)$/.test(field('Status') ?? '')) {
      return field('Version') ?? null;
    }
  }
  return null;
}
