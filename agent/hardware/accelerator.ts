import type { Facts } from '../contracts/facts.ts';
import { listFolder, type Reading } from './facts-log.ts';

export type Accelerator = Facts['accelerators'][number];

/** Debian's names for architectures in paths. */
export const TRIPLETS: ReadonlyMap<string, string> = new Map([
  ['arm64', 'aarch64-linux-gnu'],
  ['arm', 'arm-linux-gnueabihf'],
  ['x64', 'x86_64-linux-gnu'],
]);

/** An accelerator: usable when there is no problem. */
export function accelerator(
  kind: Accelerator['kind'],
  device: string,
  problem: string | null,
): Accelerator {
  return { kind, usable: problem === null, ...(problem === null ? {} : { problem }), device };
}

/** Where shared libraries of an architecture are installed. */
export function libraryFolders(arch: string): readonly string[] {
  const triplet = TRIPLETS.get(arch);
  const multiarch = triplet === undefined ? [] : [`/usr/lib/${triplet}`, `/lib/${triplet}`];
  return ['/usr/lib', '/usr/local/lib', ...multiarch];
}

/** Whether one of these folders holds a library whose file name has this form. */
export async function hasLibrary(reading: Reading, arch: string, form: RegExp): Promise<boolean> {
  const found = libraryFolders(arch).map((folder) =>
    listFolder(reading, 'accelerators', folder, form),
  );
  return (await Promise.all(found)).flat().length > 0;
}
