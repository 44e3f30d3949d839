import { dirname, resolve } from 'node:path';
import type { Manifest, SampleSetSpec } from '../../contracts/manifest.ts';

/**
 * The same manifest with every path made absolute against the folder that holds it; `files` stays, it
 * is about the folder. Pure.
 */
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
    ...(manifest.labels !== undefined && { labels: absolute(manifest.labels) }),
    ...(manifest.variants && {
      variants: manifest.variants.map((one) => ({ ...one, path: absolute(one.path) })),
    }),
    ...(manifest.published && {
      published: Object.fromEntries(
        Object.entries(manifest.published).map(([name, file]) => [name, absolute(file)]),
      ),
    }),
  };
}
