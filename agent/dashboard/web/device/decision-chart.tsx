import type { BenchReport } from '../../../contracts/bench.ts';
import { useWidth } from '../ui/use-width.ts';
import { formatMs, formatNumber } from '../ui/format.ts';
import { pointsOf, type Point, type Quality } from './decision-points.ts';
import { linearScale } from './scale.ts';

/** Until the room is known. */
const DEFAULT_WIDTH = 640;
const HEIGHT = 300;
const LEFT = 52;
const RIGHT = 16;
const TOP = 16;
const BOTTOM = 44;

interface ChartProps {
  readonly report: BenchReport;
  readonly quality: Quality;
  readonly lit: number | null;
  readonly onLight: (number: number | null) => void;
}

function wordsOf(point: Point, quality: Quality): string {
  const value = point.exact ? 'exact' : `${formatNumber(point.quality, 2)} ${quality.unit}`;
  const verdict = point.row.verdict === 'chosen' ? 'chosen' : 'not chosen';
  return `${point.row.id}, ${verdict}: p90 ${formatMs(point.p90Ms)} ms, ${quality.name} ${value}. ${point.row.reason}`;
}

interface MarkProps {
  readonly point: Point;
  readonly x: number;
  readonly y: number;
  readonly quality: Quality;
  readonly lit: boolean;
  readonly onLight: (number: number | null) => void;
}

function Mark({ point, x, y, quality, lit, onLight }: MarkProps) {
  const { verdict, precision } = point.row;
  return (
    <g
      class={`point ${verdict} ${lit ? 'lit' : ''} p-${precision}`}
      transform={`translate(${x.toFixed(1)} ${y.toFixed(1)})`}
      tabIndex={0}
      role="img"
      aria-label={wordsOf(point, quality)}
      onMouseEnter={() => onLight(point.number)}
      onMouseLeave={() => onLight(null)}
      onFocus={() => onLight(point.number)}
      onBlur={() => onLight(null)}
    >
      {verdict === 'chosen' && <circle r="13" class="ring" />}
      <circle r="8" class="disc" />
      <text dy="3.5" text-anchor="middle">
        {point.number}
      </text>
    </g>
  );
}

function Axes({
  width,
  xTicks,
  yTicks,
  quality,
}: {
  readonly width: number;
  readonly xTicks: readonly (readonly [number, number])[];
  readonly yTicks: readonly (readonly [number, number])[];
  readonly quality: Quality;
}) {
  return (
    <g class="axes" aria-hidden="true">
      {yTicks.map(([value, y]) => (
        <g key={value}>
          <line x1={LEFT} x2={width - RIGHT} y1={y} y2={y} />
          <text x={LEFT - 8} y={y + 4} text-anchor="end">
            {value}
          </text>
        </g>
      ))}
      {xTicks.map(([value, x]) => (
        <g key={value}>
          <line x1={x} x2={x} y1={TOP} y2={HEIGHT - BOTTOM} />
          <text x={x} y={HEIGHT - BOTTOM + 18} text-anchor="middle">
            {value}
          </text>
        </g>
      ))}
      <text x={width - RIGHT} y={HEIGHT - 8} text-anchor="end" class="axis-name">
        p90 latency, ms →
      </text>
      <text x={LEFT - 44} y={HEIGHT - 8} class="axis-name">
        ↑ {quality.name}, {quality.unit}
      </text>
    </g>
  );
}

/** Points in the same place would hide each other: later ones are moved aside a little. */
function spread(placed: readonly { x: number; y: number; point: Point }[]) {
  const done: { x: number; y: number; point: Point }[] = [];
  for (const { x, y, point } of placed) {
    let shifted = y;
    while (done.some((other) => Math.hypot(other.x - x, other.y - shifted) < 14)) shifted += 15;
    done.push({ x, y: Math.min(shifted, HEIGHT - BOTTOM), point });
  }
  return done;
}

/** Latency against accuracy of every candidate, the chosen one ringed; numbers are those of the list. */
export function DecisionChart({ report, quality, lit, onLight }: ChartProps) {
  const { box, width } = useWidth(DEFAULT_WIDTH);
  const points = pointsOf(report, quality);
  if (points.length === 0) return <p class="muted">No candidate could be measured.</p>;
  const x = linearScale([0, ...points.map((point) => point.p90Ms)], {
    from: LEFT,
    to: width - RIGHT,
    ticks: Math.ceil(width / 100),
    least: 0,
  });
  const y = linearScale(
    points.map((point) => point.quality),
    { from: HEIGHT - BOTTOM, to: TOP, ticks: 4 },
  );
  const placed = spread(
    points.map((point) => ({ x: x.at(point.p90Ms), y: y.at(point.quality), point })),
  );
  const current = points.find((point) => point.number === lit);
  return (
    <figure class="chart">
      <div ref={box} class="chart-box">
        <svg
          width={width}
          height={HEIGHT}
          role="group"
          aria-label={`Latency against ${quality.name} of ${points.length} candidates`}
        >
          <Axes
            width={width}
            xTicks={x.ticks.map((value) => [value, x.at(value)])}
            yTicks={y.ticks.map((value) => [value, y.at(value)])}
            quality={quality}
          />
          {placed.map((each) => (
            <Mark
              key={each.point.row.id}
              point={each.point}
              x={each.x}
              y={each.y}
              quality={quality}
              lit={each.point.number === lit}
              onLight={onLight}
            />
          ))}
        </svg>
      </div>
      <figcaption class="chart-words">
        {current === undefined
          ? 'Ringed: the chosen one. Point at a candidate for its reason.'
          : `${current.number}. ${wordsOf(current, quality)}`}
      </figcaption>
    </figure>
  );
}
