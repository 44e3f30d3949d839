import { ModelError } from '../errors.ts';
import { ALIGNMENT } from './limits.ts';
import { padding } from './output.ts';
import type { TfliteTail } from './types.ts';
import { moveArchive } from './zip.ts';

/** What lies behind byte `end`, where the model ends; zeros up to the alignment are padding. */
export function findTail(file: Uint8Array, end: number): TfliteTail | null {
  const aligned = Math.min(end + padding(end, ALIGNMENT), file.length);
  const isPadding = file.subarray(end, aligned).every((byte) => byte === 0);
  const offset = isPadding ? aligned : end + file.subarray(end).findIndex((byte) => byte !== 0);
  const bytes = file.subarray(offset);
  return bytes.every((byte) => byte === 0) ? null : { bytes, offset };
}

/**
 * The tail as it must be to begin at `offset`.
 * @throws ModelError when it is nothing that can be moved
 */
export function moveTail(tail: TfliteTail, offset: number): readonly Uint8Array[] {
  if (offset === tail.offset) return [tail.bytes];
  const moved = moveArchive(tail.bytes, tail.offset, offset);
  if (moved !== undefined) return moved;
  throw new ModelError(
    'UNSUPPORTED',
    `${tail.bytes.length} bytes behind the TFLite model are no zip archive that could be moved: ` +
      'something may refer to them by their place',
  );
}
