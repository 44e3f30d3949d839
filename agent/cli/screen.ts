import { MIN_WIDTH, type Stream } from './output.ts';

/** Text that redraws itself on a terminal. */

export interface Screen {
  /** Replaces what was drawn before; lines are cut to the terminal. */
  readonly draw: (lines: readonly string[]) => void;
  /** Leaves the terminal as it was; what was drawn in place stays. */
  readonly close: () => void;
}

export interface ScreenOptions {
  /** A screen of its own, which is gone afterwards; otherwise below what is there. */
  readonly isFull: boolean;
  /** Draws again: the terminal has another size. */
  readonly onResize: () => void;
}

const ROWS = 24;
const ESC = '\u001B[';
const HIDE = `${ESC}?25l`;
const SHOW = `${ESC}?25h`;
const OWN = `${ESC}?1049h`;
const BACK = `${ESC}?1049l`;
const HOME = `${ESC}H`;
const CLEAR_LINE = `${ESC}K`;
const CLEAR_BELOW = `${ESC}J`;

/** Columns and rows of a terminal, as it is now. */
export function sizeOf(stream: Stream): { readonly width: number; readonly rows: number } {
  return { width: stream.columns ?? MIN_WIDTH, rows: stream.rows ?? ROWS };
}

/** Takes over the terminal until `close`. */
export function openScreen(stream: Stream, { isFull, onResize }: ScreenOptions): Screen {
  let drawn = 0;
  stream.write(isFull ? OWN + HIDE : HIDE);
  stream.on?.('resize', onResize);
  return {
    draw: (lines) => {
      const { width, rows } = sizeOf(stream);
      const shown = fit(lines, Math.max(1, rows - 1)).map((line) => cutLine(line, width));
      const back = isFull ? HOME : drawn === 0 ? '' : `${ESC}${drawn}A\r`;
      // Line by line over the old text, so that nothing flickers.
      stream.write(
        `${back}${shown.map((line) => `${line}${CLEAR_LINE}\n`).join('')}${CLEAR_BELOW}`,
      );
      drawn = shown.length;
    },
    close: () => {
      stream.off?.('resize', onResize);
      stream.write(isFull ? SHOW + BACK : SHOW);
    },
  };
}

/** What does not fit is counted in the last line. */
function fit(lines: readonly string[], rows: number): readonly string[] {
  if (lines.length <= rows) return lines;
  const shown = lines.slice(0, rows - 1);
  return [...shown, `... and ${lines.length - shown.length} more lines`];
}

// oxlint-disable-next-line no-control-regex -- that is what colours begin with
const COLOUR = /\u001B\[\d+m/y;

/** At most `width` characters; colours take no room, and are switched off where the line is cut. */
export function cutLine(line: string, width: number): string {
  let seen = 0;
  let isColoured = false;
  for (let at = 0; at < line.length;) {
    COLOUR.lastIndex = at;
    const [colour] = COLOUR.exec(line) ?? [];
    if (colour !== undefined) {
      isColoured = !colour.endsWith('[0m');
      at += colour.length;
    } else if (seen === width) {
      return `${line.slice(0, at)}${isColoured ? `${ESC}0m` : ''}`;
    } else {
      seen += 1;
      at += 1;
    }
  }
  return line;
}

/** q, Q, Ctrl-C, Ctrl-D. */
const QUIT_BYTES: readonly number[] = [0x71, 0x51, 0x03, 0x04];

/**
 * Calls `onQuit` when q, Ctrl-C or Ctrl-D is typed. Keys are read one by one, so Ctrl-C is no signal any
 * more. Returns how to stop reading; does nothing where no terminal types.
 */
export function onQuitKey(onQuit: () => void): () => void {
  const { stdin } = process;
  if (!stdin.isTTY) return () => undefined;
  const onData = (bytes: Buffer) => {
    if (QUIT_BYTES.includes(bytes[0] ?? 0)) onQuit();
  };
  stdin.setRawMode(true);
  stdin.resume();
  stdin.on('data', onData);
  return () => {
    stdin.off('data', onData);
    stdin.setRawMode(false);
    stdin.pause();
  };
}
