import type { ProgressEvent } from '../fit/types.ts';
import { MIN_WIDTH, type Stream } from './output.ts';
import { plain } from './text.ts';

export interface Progress {
  readonly report: (event: ProgressEvent) => void;
  /** Wipes the line; call it before anything else is written. */
  readonly clear: () => void;
}

const BAR = 20;
const REDRAW_MS = 100;
const WIPE = '\r\u001B[K';

/** On a terminal one line that redraws itself, elsewhere a line per phase. Writes to `stream` only. */
export function createProgress(stream: Stream, now: () => number = Date.now): Progress {
  return stream.isTTY === true ? liveLine(stream, now) : linePerPhase(stream);
}

function linePerPhase(stream: Stream): Progress {
  let last = '';
  return {
    report({ phase }) {
      if (phase === last) return;
      last = phase;
      stream.write(`agent: ${plain(phase)}\n`);
    },
    clear() {
      last = '';
    },
  };
}

function liveLine(stream: Stream, now: () => number): Progress {
  let phase = '';
  let drawnAt = -Infinity;
  return {
    report(event) {
      if (event.phase === phase && now() - drawnAt < REDRAW_MS) return;
      phase = event.phase;
      drawnAt = now();
      const width = (stream.columns ?? MIN_WIDTH) - 1;
      stream.write(`${WIPE}${progressLine(event).slice(0, Math.max(0, width))}`);
    },
    clear() {
      if (phase !== '') stream.write(WIPE);
      phase = '';
      drawnAt = -Infinity;
    },
  };
}

/** `[#####...............] 25/100 calibrating`; the bar only where the end is known. */
export function progressLine({ phase, done, total }: ProgressEvent): string {
  if (done === undefined || total === undefined || total <= 0) return plain(phase);
  const filled = Math.round((Math.min(done, total) / total) * BAR);
  const bar = `${'#'.repeat(filled)}${'.'.repeat(BAR - filled)}`;
  return `[${bar}] ${done}/${total} ${plain(phase)}`;
}
