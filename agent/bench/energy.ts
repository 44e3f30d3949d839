import type { PowerReading } from '../hardware/power-sources.ts';

/** A span of time on the clock of the readings. */
export interface Window {
  readonly startMs: number;
  readonly endMs: number;
}

export interface WindowEnergy {
  readonly millijoules: number;
  /** How many readings it rests on. */
  readonly readings: number;
}

/**
 * Energy in a window; null when the readings cannot tell. Of power, only readings inside the window
 * count, straight lines between them, and the first and last held to the edges: what was read before
 * belongs to something else. Of an energy counter, the difference between both edges, each on the
 * straight line between the readings around it.
 */
export function energyInWindow(
  readings: readonly (PowerReading | null)[],
  window: Window,
): WindowEnergy | null {
  const known = distinct(readings.filter((one) => one !== null));
  const counted = known.flatMap((one) => ('millijoules' in one ? [one] : []));
  if (counted.length > 0) return counterEnergy(counted, window);
  const inside = known.flatMap((one) =>
    'milliwatts' in one && one.atMs >= window.startMs && one.atMs <= window.endMs ? [one] : [],
  );
  return inside.length === 0
    ? null
    : { millijoules: integrate(inside, window), readings: inside.length };
}

/** A slow source gives the same reading several times. */
function distinct(readings: readonly PowerReading[]): readonly PowerReading[] {
  return readings.filter((one, at) => one.atMs !== readings[at - 1]?.atMs);
}

/** Trapezoids; mW times s is mJ. */
function integrate(
  points: readonly { readonly atMs: number; readonly milliwatts: number }[],
  { startMs, endMs }: Window,
): number {
  let [at, power] = [startMs, points[0]?.milliwatts ?? 0];
  let sum = 0;
  for (const { atMs, milliwatts } of points) {
    sum += ((power + milliwatts) / 2) * (atMs - at);
    [at, power] = [atMs, milliwatts];
  }
  return (sum + power * (endMs - at)) / 1000;
}

interface CounterPoint {
  readonly atMs: number;
  readonly millijoules: number;
}

function counterEnergy(
  points: readonly CounterPoint[],
  { startMs, endMs }: Window,
): WindowEnergy | null {
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined || endMs <= startMs) return null;
  // The first reading is made just before the window and the last just behind it; a window that is
  // not covered would need a guess.
  if (first.atMs > startMs || last.atMs < endMs) return null;
  return {
    millijoules: counterAt(points, endMs) - counterAt(points, startMs),
    readings: points.length,
  };
}

function counterAt(points: readonly CounterPoint[], atMs: number): number {
  const after = points.findIndex((point) => point.atMs >= atMs);
  const [b, a] = [points[after], points[after - 1]];
  if (b === undefined) return points.at(-1)?.millijoules ?? Number.NaN;
  if (a === undefined) return b.millijoules;
  return a.millijoules + ((b.millijoules - a.millijoules) * (atMs - a.atMs)) / (b.atMs - a.atMs);
}

/** One stretch of work whose energy may be known. */
export interface Stretch {
  readonly energy: WindowEnergy | null;
  readonly busyMs: number;
  readonly inferences: number;
}

export interface PowerFigures {
  readonly meanMilliwatts: number;
  readonly energyPerInferenceMillijoules: number;
  readonly readings: number;
}

/** Mean power and energy per inference over the stretches whose energy is known; null without one. */
export function powerFigures(stretches: readonly Stretch[]): PowerFigures | null {
  const known = stretches.flatMap(({ energy, busyMs, inferences }) =>
    energy === null || busyMs <= 0 || inferences === 0 ? [] : [{ ...energy, busyMs, inferences }],
  );
  if (known.length === 0) return null;
  const sum = (value: (one: (typeof known)[number]) => number) =>
    known.reduce((total, one) => total + value(one), 0);
  const millijoules = sum((one) => one.millijoules);
  return {
    meanMilliwatts: (millijoules / sum((one) => one.busyMs)) * 1000,
    energyPerInferenceMillijoules: millijoules / sum((one) => one.inferences),
    readings: sum((one) => one.readings),
  };
}
