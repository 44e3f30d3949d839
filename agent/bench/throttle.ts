// What counts as throttling, and when it is worth waiting. Pure functions of what was sampled.
import type { Sampled, Sample } from './sampling.ts';
import { median } from './statistics.ts';

/** A clock this far below what it was is no jitter. */
const CLOCK_DROP = 0.9;
/** Waiting helps against heat, not against a weak power supply. */
const NOT_HEAT: readonly string[] = ['under-voltage'];

/** Whose clock tells how fast a candidate can be. */
export type Processor = 'cpu' | 'gpu';

/** What the clock should be. */
export interface ClockReference {
  readonly processor: Processor;
  /** The highest limit that was seen before the first load: what the power mode allows. */
  readonly limitHz: number | null;
  /** Medians of the same candidate's turns that were not throttled. */
  readonly turnsHz: readonly number[];
  /** The governor keeps the processor at that limit, and it can reach it. */
  readonly heldAtLimit: boolean;
}

type Seen = Pick<Sampled<unknown>, 'before' | 'during' | 'after'>;

/** Why the machine was slowed down during a turn; empty when it was not. */
export function throttleReasons(seen: Seen, reference: ClockReference): readonly string[] {
  const samples = [...seen.during, seen.after];
  const reasons = new Set<string>();
  for (const { throttling, tripped, cooling } of samples) {
    for (const reason of throttling?.now ?? []) reasons.add(reason);
    for (const zone of tripped) reasons.add(`thermal trip of ${zone}`);
    for (const device of cooling) reasons.add(`cooling by ${device}`);
  }
  for (const reason of newBits(seen)) reasons.add(reason);
  if (newEvents(seen)) reasons.add('throttled');
  if (limitFell(samples, reference)) reasons.add('clock limit lowered');
  if (clockFell(seen, reference)) reasons.add('clock dropped');
  return [...reasons];
}

/** Bits that say "since boot" and were not set before: it happened between two samples. */
function newBits({ before, after }: Seen): readonly string[] {
  if (before.throttling === null) return [];
  const old = before.throttling.sinceBoot;
  return (after.throttling?.sinceBoot ?? []).filter((reason) => !old.includes(reason));
}

function newEvents({ before, after }: Seen): boolean {
  const [was, is] = [before.throttling?.events ?? null, after.throttling?.events ?? null];
  return was !== null && is !== null && is > was;
}

function limitFell(samples: readonly Sample[], { limitHz }: ClockReference): boolean {
  if (limitHz === null) return false;
  return samples.some((one) => one.limitHz !== null && one.limitHz < limitHz);
}

/** Against the candidate's own best turn, and against the limit where the governor holds it there. */
function clockFell(seen: Seen, reference: ClockReference): boolean {
  const { processor, limitHz, turnsHz, heldAtLimit } = reference;
  const clock = turnClock(seen, processor);
  if (clock === null) return false;
  const best = Math.max(...turnsHz, heldAtLimit ? (limitHz ?? 0) : 0);
  return clock < CLOCK_DROP * best;
}

/** The median clock of the fastest core or the GPU in a turn, in Hz; null when too short to tell. */
export function turnClock({ during }: Pick<Seen, 'during'>, processor: Processor): number | null {
  const clocks = during.flatMap(
    ({ frequencyHz, gpuHz }) => (processor === 'gpu' ? gpuHz : frequencyHz) ?? [],
  );
  return clocks.length === 0 ? null : median(clocks);
}

/** Whether a cooler machine would not have been slowed down. */
export function isHeat(reasons: readonly string[]): boolean {
  return reasons.some((reason) => !NOT_HEAT.includes(reason));
}

/** Degrees above the temperature at the start that count as cool again. */
export const COOL_MARGIN_CELSIUS = 5;
/** Where no temperature is known, time has to do. */
export const BLIND_WAIT_MS = 10_000;

/** Whether the machine is as cool as at the start, and nothing slows it down any more. */
export function isCool(
  { celsius, throttling, tripped, cooling, limitHz }: Sample,
  start: { readonly celsius: number | null; readonly limitHz: number | null },
  waitedMs: number,
): boolean {
  if (isHeat(throttling?.now ?? []) || tripped.length > 0 || cooling.length > 0) return false;
  if (limitHz !== null && start.limitHz !== null && limitHz < start.limitHz) return false;
  if (celsius === null || start.celsius === null) return waitedMs >= BLIND_WAIT_MS;
  return celsius <= start.celsius + COOL_MARGIN_CELSIUS;
}

/** What waiting and repeating a run may still cost. */
export interface CoolBudget {
  /** The longest wait at a time, in seconds; null: never wait. */
  readonly limitSeconds: number | null;
  readonly waitedSeconds: number;
  /** A wait ended with the machine as hot as before: the next one would, too. */
  readonly inVain: boolean;
}

/** Turns of one candidate that are taken again at most. */
export const MAX_REPEATS = 5;
/** Waits of a whole run, in limits of one wait. */
const MAX_WAITS = 10;

/** Whether to let the machine cool and take a turn again. */
export function mayRepeat(
  reasons: readonly string[],
  repeats: number,
  { limitSeconds, waitedSeconds, inVain }: CoolBudget,
): boolean {
  if (limitSeconds === null || inVain || repeats >= MAX_REPEATS || !isHeat(reasons)) return false;
  return waitedSeconds < MAX_WAITS * limitSeconds;
}
