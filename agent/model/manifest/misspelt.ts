import {
  audioInputSchema,
  imageInputSchema,
  manifestSchema,
  sampleSetSchema,
} from '../../contracts/manifest.ts';
import { nearestWord } from '../../util/nearest.ts';

/** The keys that mean something at a place of a manifest; `*` stands for any name. */
const PLACES: readonly (readonly [place: readonly string[], shape: object])[] = [
  [[], manifestSchema.shape],
  [['samples'], { calibration: null, evaluation: null }],
  [['samples', '*'], sampleSetSchema.shape],
  [['inputs', '*', 'image'], imageInputSchema.shape],
  [['inputs', '*', 'audio'], audioInputSchema.shape],
];

/**
 * Keys of a manifest that nothing reads and that look like one that something does. A manifest may hold
 * more than this program knows, so they are no errors; but a mean or a gate that is misspelt would be
 * missed in silence. One line each, such as `gate: there is no such key; did you mean gates?`. Pure.
 */
export function misspeltKeys(manifest: unknown): readonly string[] {
  return PLACES.flatMap(([place, shape]) => {
    const known = Object.keys(shape);
    return objectsAt(manifest, place).flatMap(({ path, value }) =>
      Object.keys(value).flatMap((key) => {
        const near = known.includes(key) ? null : nearestWord(key, known);
        const where = [...path, key].join('.');
        return near === null || near in value
          ? []
          : [`${where}: there is no such key; did you mean ${near}?`];
      }),
    );
  });
}

interface Found {
  readonly path: readonly string[];
  readonly value: object;
}

function objectsAt(value: unknown, place: readonly string[]): readonly Found[] {
  if (typeof value !== 'object' || value === null) return [];
  const [step, ...rest] = place;
  if (step === undefined) return [{ path: [], value }];
  return Object.entries(value)
    .filter(([key]) => step === '*' || step === key)
    .flatMap(([key, inner]) =>
      objectsAt(inner, rest).map((found) => ({ ...found, path: [key, ...found.path] })),
    );
}
