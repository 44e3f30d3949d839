/** Axes of a chart: where values stand, and which ones are written beside it. */
export interface Scale {
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

const STEPS = [1, 2, 5, 10];

/** Round numbers that cover a range in about `wanted` steps. */
export function niceTicks(low: number, high: number, wanted: number): number[] {
  const span = high - low || Math.abs(high) || 1;
  const rough = span / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = (STEPS.find((each) => each * power >= rough) ?? 10) * power;
  const first = Math.floor(low / step);
  const last = Math.ceil(high / step);
  // Multiplied, not added up: 0.1 + 0.2 would show.
  return Array.from({ length: last - first + 1 }, (_, index) =>
    Number(((first + index) * step).toPrecision(12)),
  );
}

interface ScaleOptions {
  readonly from: number;
  readonly to: number;
  readonly ticks: number;
  /** No value is below: there is no room to show. */
  readonly least?: number;
}

/** A scale from values to pixels, with some room at both ends. `from` may be larger than `to`. */
export function linearScale(
  values: readonly number[],
  { from, to, ticks, least }: ScaleOptions,
): Scale {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const room = (high - low || Math.abs(high) * 0.1 || 1) * 0.08;
  const marks = niceTicks(Math.max(low - room, least ?? -Infinity), high + room, ticks);
  const first = marks[0] ?? low;
  const last = marks.at(-1) ?? high;
  return {
    at: (value) => from + ((value - first) / (last - first)) * (to - from),
    ticks: marks,
  };
}
