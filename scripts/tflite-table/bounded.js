// @ts-check
// A model package with fewer samples, so that a table over all of them takes minutes and not hours.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Writes a copy of a manifest that evaluates on the first `most` of its samples.
 * @param {string} manifest
 * @param {number} most
 * @param {string} to file to write
 */
export function writeBounded(manifest, most, to) {
  const described = JSON.parse(readFileSync(manifest, 'utf8'));
  const folder = dirname(manifest);
  const samples = Object.fromEntries(
    Object.entries(described.samples ?? {}).map(([use, one]) => {
      const { from = 0, to: end = Infinity } = one;
      const last = use === 'evaluation' ? Math.min(end, from + most) : end;
      return [
        use,
        { ...one, path: resolve(folder, one.path), ...(last < Infinity && { to: last }) },
      ];
    }),
  );
  const model = resolve(folder, described.model);
  writeFileSync(to, JSON.stringify({ ...described, model, samples, published: undefined }));
}
