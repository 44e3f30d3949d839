import { useEffect, useRef, useState } from 'preact/hooks';
import { theme } from '../state/theme.ts';
import { useStore } from '../state/store.ts';
import { formatTime, UNKNOWN } from '../ui/format.ts';
import { lastOf, type Columns } from './live-series.ts';
import type { Chart } from './uplot-chart.ts';

export interface ChartKind {
  readonly name: string;
  readonly metrics: readonly string[];
  readonly names: readonly string[];
  readonly format: (value: number | null) => string;
  readonly axis: (value: number) => string;
  readonly steps?: readonly number[];
  readonly atLeast?: readonly [low: number, high: number];
}

interface TimeChartProps {
  readonly kind: ChartKind;
  readonly columns: Columns;
}

const HEIGHT = 132;

/** The dark system setting changes the colours, too. */
const dark = globalThis.matchMedia?.('(prefers-color-scheme: dark)');

function useDark(): boolean {
  const [value, setValue] = useState(dark?.matches ?? false);
  useEffect(() => {
    const update = () => setValue(dark?.matches ?? false);
    dark?.addEventListener('change', update);
    return () => dark?.removeEventListener('change', update);
  }, []);
  return value;
}

function useChart(kind: ChartKind, columns: Columns) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<Chart | null>(null);
  const newest = useRef(columns);
  newest.current = columns;
  const [pointed, setPointed] = useState<number | null>(null);
  const chosen = useStore(theme);
  const system = useDark();
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    let closed = false;
    // Loaded when the first chart is opened: the table of the fleet does without.
    void import('./uplot-chart.ts').then(({ openChart }) => {
      if (closed) return;
      chart.current = openChart(element, {
        width: element.clientWidth,
        height: HEIGHT,
        names: kind.names,
        format: kind.axis,
        onPoint: setPointed,
        ...(kind.steps === undefined ? {} : { steps: kind.steps }),
        ...(kind.atLeast === undefined ? {} : { atLeast: kind.atLeast }),
      });
      chart.current.show(newest.current);
    });
    const watch = new ResizeObserver(() => chart.current?.resize(element.clientWidth));
    watch.observe(element);
    return () => {
      closed = true;
      watch.disconnect();
      chart.current?.close();
      chart.current = null;
    };
  }, [kind, chosen, system]);
  useEffect(() => chart.current?.show(columns), [columns]);
  return { box, pointed };
}

/** One quantity over time, with its value now or where the pointer is. */
export function TimeChart({ kind, columns }: TimeChartProps) {
  const { box, pointed } = useChart(kind, columns);
  const [times, ...values] = columns;
  const at = pointed === null ? null : (times[pointed] ?? null);
  const known = kind.metrics.map((_, index) => values[index]?.some((value) => value !== null));
  const shown = kind.names.flatMap((name, index) => {
    if (index > 0 && known[index] !== true) return [];
    const column = values[index];
    const value = at === null || pointed === null ? lastOf(column) : (column?.[pointed] ?? null);
    return [{ name, index, text: value === null ? UNKNOWN : kind.format(value) }];
  });
  const words = shown.map(({ name, text }) => `${name} ${text}`).join(', ');
  return (
    <figure class="time-chart">
      <figcaption>
        <span class="time-chart-name">{kind.name}</span>
        {shown.map(({ name, index, text }) => (
          <span key={name} class="time-chart-value">
            <span class={`swatch series-${index + 1}`} aria-hidden="true" />
            {shown.length > 1 && <span class="muted">{name} </span>}
            <span class="figure">{text}</span>
          </span>
        ))}
        <span class="time-chart-at muted">
          {at === null ? 'now' : formatTime(at * 1000).slice(11)}
        </span>
      </figcaption>
      <div ref={box} class="time-chart-box" role="img" aria-label={`${kind.name}: ${words}`} />
    </figure>
  );
}
