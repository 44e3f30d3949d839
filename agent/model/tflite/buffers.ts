import { ModelError } from '../errors.ts';
import { outOfRange } from './indices.ts';
import type { Buffer as BufferTable } from './generated/model.ts';

/** The buffers of a file that is being read. */
export interface StoredBuffers {
  /** The bytes of a buffer, the same object each time; null where it has none. */
  readonly take: (index: number, path: string, use?: 'constant') => Uint8Array | null;
  /** Bytes that lie behind the flatbuffer. */
  readonly range: (offset: number, size: number, path: string) => Uint8Array;
  /** Whether a constant lay behind the flatbuffer. */
  readonly outside: () => boolean;
  /** Buffers with content that nobody took. */
  readonly unused: () => readonly Uint8Array[];
  /** One past the last byte of all that lies outside. */
  readonly end: () => number;
}

export function storedBuffers(tables: readonly BufferTable[], file: Uint8Array): StoredBuffers {
  let outside = false;
  let end = 0;
  const taken = new Set<number>();

  const range = (offset: number, size: number, path: string) => {
    if (offset + size > file.length) {
      throw new ModelError(
        'TRUNCATED',
        `cut off: ${path} wants bytes ${offset} to ${offset + size} of ${file.length}`,
      );
    }
    end = Math.max(end, offset + size);
    return file.subarray(offset, offset + size);
  };

  const contents = tables.map(({ data, offset, size }, index) => {
    // As runtimes do: what lies inside goes first, and an offset of 0 or 1 is none.
    const isOutside = (data === undefined || data.length === 0) && offset > 1;
    const bytes = isOutside ? range(offset, size, `buffers[${index}]`) : (data ?? null);
    return { bytes, isOutside };
  });

  return {
    take: (index, path, use) => {
      const found = contents[index];
      if (found === undefined) {
        // A file without constants may have no buffers at all.
        if (index === 0) return null;
        throw outOfRange(index, contents.length, path);
      }
      taken.add(index);
      if (use === 'constant' && found.isOutside) outside = true;
      return found.bytes;
    },
    range,
    outside: () => outside,
    unused: () =>
      contents.flatMap(({ bytes }, index) =>
        bytes === null || bytes.length === 0 || taken.has(index) ? [] : [bytes],
      ),
    end: () => end,
  };
}
