import uPlot from 'uplot';
import { formatTime } from '../ui/format.ts';
import type { Columns } from './live-series.ts';

/** One chart over time. Drawn on a canvas: it costs no layout, however often it changes. */
export interface Chart {
  readonly show: (columns: Columns) => void;
  readonly resize: (width: number) => void;
  readonly close: () => void;
}

export interface ChartOptions {
  readonly width: number;
  readonly height: number;
  readonly names: readonly string[];
  /** How values are written beside the axis. */
  readonly format: (value: number) => string;
  /** Steps of the axis, where round numbers are not those of ten. */
  readonly steps?: readonly number[];
  /** Values that the axis covers at least. */
  readonly atLeast?: readonly [low: number, high: number];
  /** Which column is pointed at, or null. */
  readonly onPoint: (index: number | null) => void;
}

const AXIS_WIDTH = 56;
const DAY_SECONDS = 86_400;

/** `18:40`, or `11-26` where the marks are days apart; in the reader's own time zone. */
function formatTick(seconds: number, step: number): string {
  const text = formatTime(seconds * 1000);
  return step >= DAY_SECONDS ? text.slice(5, 10) : text.slice(11, 16);
}

/** A colour of the style sheet as a canvas takes it: `light-dark(...)` is resolved on an element only. */
function colour(box: HTMLElement, name: string): string {
  const before = box.style.color;
  box.style.color = `var(${name})`;
  const { color } = getComputedStyle(box);
  box.style.color = before;
  return color;
}

function rangeOf(atLeast: readonly [number, number] | undefined): uPlot.Range.Function {
  return (_, low, high) => {
    // Nothing known yet: some axis is better than none.
    if (low === null || high === null) return [...(atLeast ?? [0, 1])];
    const [least, most] = [
      Math.min(low, atLeast?.[0] ?? low),
      Math.max(high, atLeast?.[1] ?? high),
    ];
    return uPlot.rangeNum(least, most, 0.1, true);
  };
}

export function openChart(box: HTMLElement, options: ChartOptions): Chart {
  const font = `11px ${getComputedStyle(box).fontFamily}`;
  const axis: uPlot.Axis = {
    stroke: colour(box, '--muted'),
    font,
    grid: { stroke: colour(box, '--line'), width: 1 },
    ticks: { show: false },
  };
  const stepped = uPlot.paths.stepped?.({ align: 1 });
  const plot = new uPlot(
    {
      width: options.width,
      height: options.height,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
      scales: { y: { range: rangeOf(options.atLeast) } },
      axes: [
        {
          ...axis,
          size: 28,
          space: 70,
          values: (_, times, _axis, _space, step) => times.map((time) => formatTick(time, step)),
        },
        {
          ...axis,
          size: AXIS_WIDTH,
          space: 28,
          ...(options.steps === undefined ? {} : { incrs: [...options.steps] }),
          values: (_, values) => values.map(options.format),
        },
      ],
      series: [
        {},
        ...options.names.map((label, index): uPlot.Series => ({
          label,
          stroke: colour(box, `--series-${index + 1}`),
          width: 1.5,
          points: { show: false },
          ...(stepped === undefined ? {} : { paths: stepped }),
        })),
      ],
      hooks: { setCursor: [(self) => options.onPoint(self.cursor.idx ?? null)] },
    },
    [[], ...options.names.map(() => [])],
    box,
  );
  return {
    show: ([times, ...values]) => plot.setData([[...times], ...values.map((each) => [...each])]),
    resize: (width) => plot.setSize({ width, height: options.height }),
    close: () => plot.destroy(),
  };
}
