import type { Koffi, Pointer } from './api.ts';

/** What TFLite says when something fails. */
export interface Messages {
  /** A function that takes (user data, format, va_list), and the user data that belongs to it. */
  readonly reporter: Pointer;
  readonly user: Pointer;
  /** What has been said since the last call. */
  take(): string;
}

/** More is dropped: the first messages say what is wrong. */
const ROOM_BYTES = 16 * 1024;

/**
 * TFLite reports errors through a variadic callback. The C library's own `vfprintf` has exactly the
 * wanted form, so it writes into a stream over a piece of memory. A JavaScript callback would have
 * to take a va_list apart, and a kernel's thread that reports while this one waits in a run would
 * wait for it for ever.
 */
export function openMessages(koffi: Koffi): Messages {
  const libc = koffi.load(null);
  const open: (room: Pointer, bytes: number, mode: string) => Pointer | null = libc.func(
    'fmemopen',
    'void *',
    ['void *', 'size_t', 'str'],
  );
  const flush: (stream: Pointer) => number = libc.func('fflush', 'int', ['void *']);
  const rewind: (stream: Pointer) => void = libc.func('rewind', 'void', ['void *']);
  const room: Pointer = koffi.alloc('char', ROOM_BYTES);
  const bytes = new Uint8Array(koffi.view(room, ROOM_BYTES)).fill(0);
  const stream = open(room, ROOM_BYTES, 'w');
  if (stream === null) throw new Error('the C library cannot open a stream in memory');
  const reporter: Pointer = libc.symbol('vfprintf');
  return {
    reporter,
    user: stream,
    take() {
      flush(stream);
      const end = bytes.indexOf(0);
      const text = Buffer.from(bytes.subarray(0, end === -1 ? ROOM_BYTES : end)).toString('utf8');
      rewind(stream);
      bytes.fill(0);
      return text;
    },
  };
}
