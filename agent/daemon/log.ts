import { destination, pino } from 'pino';
import type { Logger } from 'pino';
import type { LogLevel } from '../contracts/config.ts';

export type { Logger } from 'pino';

/** One line of JSON per event on stderr, where journald reads it. Written at once: none is lost. */
export function openLog(level: LogLevel): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"ts":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: 'msg',
      errorKey: 'error',
    },
    destination({ fd: 2, sync: true }),
  );
}
