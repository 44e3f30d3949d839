import type { RefusalCode } from '../../contracts/fleet-request.ts';

/** A message that is not acted upon, and why. A value, not an error: it is expected. */
export interface Refusal {
  readonly refused: RefusalCode;
  readonly why: string;
  /** Of a job that was refused as a replay: the lowest counter that would be taken. */
  readonly lowestCounter?: number;
}

export function refuse(refused: RefusalCode, why: string): Refusal {
  return { refused, why };
}

export interface RefusalCounter {
  readonly count: (refusal: Refusal, topic: string) => void;
  /** How many of each code since the start. */
  readonly counts: () => Readonly<Partial<Record<RefusalCode, number>>>;
}

/** A flood of bad messages must not become a flood of log lines: at most this many a minute. */
const LINES_PER_MINUTE = 10;
const MINUTE_MS = 60_000;
const SHOWN_TOPIC_CHARACTERS = 120;

/** Counts refusals and tells `log` of the first ones in every minute. Never logs payloads. */
export function refusalCounter(
  log: (code: RefusalCode, why: string, topic: string) => void,
  now: () => number = Date.now,
): RefusalCounter {
  const counts: Partial<Record<RefusalCode, number>> = {};
  let minute = 0;
  let lines = 0;
  return {
    counts: () => ({ ...counts }),
    count: ({ refused, why }, topic) => {
      counts[refused] = (counts[refused] ?? 0) + 1;
      const current = Math.floor(now() / MINUTE_MS);
      if (current !== minute) lines = 0;
      minute = current;
      lines += 1;
      if (lines <= LINES_PER_MINUTE) log(refused, why, topic.slice(0, SHOWN_TOPIC_CHARACTERS));
    },
  };
}
