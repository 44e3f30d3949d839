import { useEffect, useMemo, useState } from 'preact/hooks';
import { getHistory } from '../api/client.ts';
import { onTick, serverNow } from '../state/clock.ts';
import { ONLINE_METRIC } from '../../../contracts/presence.ts';
import { useStore, type Store } from '../state/store.ts';
import { formatBytes, formatCelsius, formatMs, formatShare } from '../ui/format.ts';
import { useLoaded } from '../ui/use-loaded.ts';
import { columnsOf, type Latest, type Sample } from './live-series.ts';
import { TimeChart, type ChartKind } from './time-chart.tsx';

/** From a MiB to half a TiB. */
const BINARY_STEPS = Array.from({ length: 20 }, (_, power) => 2 ** (20 + power));

/** Metrics by their names in telemetry. */
const KINDS: readonly ChartKind[] = [
  {
    name: 'Temperature',
    metrics: ['socCelsius', 'acceleratorCelsius'],
    names: ['processor', 'accelerator'],
    format: formatCelsius,
    axis: (value) => `${value} °C`,
    atLeast: [30, 60],
  },
  {
    name: 'Load',
    metrics: ['cpuRatio', 'gpuRatio'],
    names: ['CPU', 'GPU'],
    format: formatShare,
    axis: (value) => `${Math.round(value * 100)} %`,
    atLeast: [0, 1],
  },
  {
    name: 'Latency, p90',
    metrics: ['p90Ms'],
    names: ['p90'],
    format: (value) => `${formatMs(value)} ms`,
    axis: (value) => `${value} ms`,
    atLeast: [0, 0],
  },
  {
    name: 'Memory available',
    metrics: ['memoryAvailableBytes'],
    names: ['available'],
    format: formatBytes,
    axis: (value) => formatBytes(value).replace('.0 ', ' '),
    steps: BINARY_STEPS,
    atLeast: [0, 0],
  },
];

const METRICS = [...KINDS.flatMap((kind) => kind.metrics), ONLINE_METRIC];
const MINUTE_MS = 60_000;

const SPANS = [
  { name: '15 min', ms: 15 * MINUTE_MS },
  { name: '1 h', ms: 60 * MINUTE_MS },
  { name: '6 h', ms: 360 * MINUTE_MS },
  { name: '24 h', ms: 1440 * MINUTE_MS },
  { name: '7 d', ms: 10_080 * MINUTE_MS },
] as const;

const POINTS = 360;

interface LiveProps {
  readonly deviceId: string;
  readonly latest: Latest;
  readonly samples: Store<readonly Sample[]>;
}

/** The server's clock, so that the charts move on when a device says nothing. */
function useNow(everySeconds: number): number {
  const [now, setNow] = useState(serverNow);
  useEffect(() => {
    let seconds = 0;
    return onTick(() => {
      seconds += 1;
      if (seconds % everySeconds === 0) setNow(serverNow());
    });
  }, [everySeconds]);
  return now;
}

/** A second of the shortest span is a pixel; on long ones nothing moves in a second. */
const REDRAW_SECONDS = 2;

function Charts({ deviceId, latest, samples, spanMs }: LiveProps & { readonly spanMs: number }) {
  const live = useStore(samples);
  const ticked = useNow(REDRAW_SECONDS);
  const to = Math.max(ticked, live.at(-1)?.ts ?? 0);
  const { value, problem } = useLoaded(`${deviceId} ${spanMs}`, (signal) => {
    const now = serverNow();
    const range = { from: now - spanMs, to: now };
    return getHistory(deviceId, { metrics: METRICS, ...range, points: POINTS }, signal);
  });
  const history = value?.series;
  const columns = useMemo(
    () =>
      KINDS.map((kind) =>
        columnsOf(
          kind.metrics,
          { history: history ?? {}, latest, samples: live },
          { from: to - spanMs, to },
        ),
      ),
    [history, latest, live, to, spanMs],
  );
  return (
    <>
      {problem !== null && <p class="problem">The history could not be read: {problem}</p>}
      <div class="time-charts">
        {KINDS.map((kind, index) => (
          <TimeChart key={kind.name} kind={kind} columns={columns[index] ?? [[]]} />
        ))}
      </div>
    </>
  );
}

/** Heat, load, latency and memory of the device, as they come in. */
export function LiveCharts(props: LiveProps) {
  const [spanMs, setSpan] = useState<number>(SPANS[0].ms);
  return (
    <section class="card live" aria-labelledby="live-title">
      <div class="card-head">
        <h2 id="live-title">Live</h2>
        <div class="segments" role="group" aria-label="Time span">
          {SPANS.map(({ name, ms }) => (
            <button
              key={name}
              type="button"
              aria-pressed={ms === spanMs}
              onClick={() => setSpan(ms)}
            >
              {name}
            </button>
          ))}
        </div>
      </div>
      <Charts {...props} spanMs={spanMs} />
    </section>
  );
}
