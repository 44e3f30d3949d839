import { codeOf } from '../util/errors.ts';

/** What a command needs to know of a stream it writes to. */
export interface Stream {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  /** `resize`: a terminal has another size. `error`: whoever read it is gone, or a disk is full. */
  on?(event: 'resize' | 'error', listener: () => void): unknown;
  off?(event: 'resize' | 'error', listener: () => void): unknown;
}

export interface Io {
  readonly stdout: Stream;
  readonly stderr: Stream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Everything fits into this; a narrower terminal wraps by itself. */
export const MIN_WIDTH = 80;
const MAX_WIDTH = 240;

/** Columns to fill: those of the terminal, else COLUMNS, else 80. */
export function widthOf(stream: Stream, env: Io['env']): number {
  const asked = stream.isTTY === true ? stream.columns : Number(env['COLUMNS']);
  if (asked === undefined || !Number.isInteger(asked)) return MIN_WIDTH;
  return Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, asked));
}

/** Colour only on a terminal that wants it (https://no-color.org). */
export function wantsColor(stream: Stream, env: Io['env']): boolean {
  const refused = env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '';
  return stream.isTTY === true && !refused && env['TERM'] !== 'dumb';
}

export function writeJson(io: Io, value: unknown): void {
  io.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/**
 * A reader that has seen enough (`agent bench | head -1`) is not an error of ours; anything else, such
 * as a full disk, is told to `fail`.
 */
export function onWriteError(stream: NodeJS.WriteStream, fail: (error: Error) => void): void {
  stream.on('error', (error) => {
    if (codeOf(error) !== 'EPIPE') fail(error);
  });
}
