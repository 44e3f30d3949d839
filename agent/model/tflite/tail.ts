import { ModelError } from '../errors.ts';
import { ALIGNMENT } from './limits.ts';
import { padding } from './output.ts';
import type { TfliteTail } from './types.ts';
import { hasArchive, moveArchive } from './zip.ts';

/** What lies behind byte `end`, where the model ends; zeros up to the alignment are padding. */
export function findTail(file: Uint8Array, end: number): TfliteTail | null {
  const aligned = Math.min(end + padding(end, ALIGNMENT), file.length);
  const isPadding = file.subarray(end, aligned).every((byte) => byte === 0);
  const offset = isPadding ? aligned : end + file.subarray(end).findIndex((byte) => byte !== 0);
  const bytes = file.subarray(offset);
  return bytes.every((byte) => byte === 0) ? null : { bytes, offset };
}

/**
 * The tail as it must be to begin at `offset`. Everything in a model that refers to a place in the file
 * is known (`writeTflite` takes no other), and none of it meant these bytes: what some converters leave
 * behind, or what an application finds from the end, may lie anywhere.
 * @throws ModelError when it is an archive that cannot be moved
 */
export function moveTail(tail: TfliteTail, offset: number): readonly Uint8Array[] {
  if (offset === tail.offset) return [tail.bytes];
  const moved = moveArchive(tail.bytes, tail.offset, offset);
  if (moved !== undefined) return moved;
  if (!hasArchive(tail.bytes)) return [tail.bytes];
  throw new ModelError(
    'UNSUPPORTED',
    `${tail.bytes.length} bytes behind the TFLite model hold a damaged or very large zip archive, ` +
      'which cannot be moved: write the file anew without it',
  );
}
