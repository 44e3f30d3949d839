import { dirname, join } from 'node:path';
import { isSameFile } from '../util/files.ts';
import { FitError } from './errors.ts';
import type { Subject } from './subject.ts';

/**
 * Refuses an output that is one of the files the work starts from: often there is no second copy.
 * `others` are further outputs it must differ from.
 */
export async function refuseOverwriting(
  output: string,
  { package: model, loaded }: Pick<Subject, 'package' | 'loaded'>,
  others: readonly string[] = [],
): Promise<void> {
  const folder = dirname(loaded.path);
  const companions = loaded.companions.map((name) => join(folder, name));
  for (const path of [model.manifestPath, loaded.path, ...companions, ...others]) {
    // oxlint-disable-next-line no-await-in-loop -- two or three files
    if (path === null || !(await isSameFile(path, output))) continue;
    throw new FitError('bad-output', `${output} is needed for something else: give another name`);
  }
}
