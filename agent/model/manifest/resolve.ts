import { dirname, resolve } from 'node:path';
import type { Manifest, SampleSetSpec } from '../../contracts/manifest.ts';

/** The same manifest with every path made absolute against the folder that holds it. Pure. */
export function resolveManifest(manifest: Manifest, path: string): Manifest {
  const folder = dirname(resolve(path));
  const absolute = (relative: string) => resolve(folder, relative);
  const { calibration, evaluation } = manifest.samples ?? {};
  const set = (spec: SampleSetSpec) => ({ ...spec, path: absolute(spec.path) });
  return {
    ...manifest,
    model: absolute(manifest.model),
    ...(manifest.samples && {
      samples: {
        ...(calibration && { calibration: set(calibration) }),
        ...(evaluation && { evaluation: set(evaluation) }),
      },
    }),
    ...(manifest.published && {
      published: Object.fromEntries(
        Object.entries(manifest.published).map(([name, file]) => [name, absolute(file)]),
      ),
    }),
  };
}
