import { destination, pino } from 'pino';
import type { Logger } from 'pino';
import type { LogLevel } from '../contracts/config.ts';

export type { Logger } from 'pino';

/** Kept in memory for `logtail`; a line of ours has a few hundred bytes. */
const KEPT_LINES = 500;

export interface Log {
  readonly logger: Logger;
  /** The newest lines, oldest first. */
  readonly tail: (lines: number) => readonly string[];
}

/** One line of JSON per event on stderr, where journald reads it. Written at once: none is lost. */
export function openLog(level: LogLevel): Log {
  const stderr = destination({ fd: 2, sync: true });
  const kept: string[] = [];
  const write = (line: string) => {
    kept.push(line.trimEnd());
    if (kept.length > KEPT_LINES) kept.shift();
    stderr.write(line);
  };
  const options = {
    level,
    base: null,
    timestamp: () => `,"ts":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return { logger: pino(options, { write }), tail: (lines) => kept.slice(-lines) };
}
