import { formatCelsius, formatMs, formatNumber, formatPart } from '../ui/format.ts';
import { hasTerm } from './filter.ts';
import type { Summary } from './summary.ts';

interface Tile {
  readonly name: string;
  readonly value: string;
  readonly note: string;
  readonly term: string | null;
  readonly warn?: boolean;
}

function tilesOf(summary: Summary): readonly Tile[] {
  const { devices, states } = summary;
  const away = states.offline + states.silent;
  return [
    {
      name: 'Online',
      value: formatNumber(states.online),
      note: `${formatPart(states.online, devices)} of ${formatNumber(devices)}`,
      term: 'state=online',
    },
    {
      name: 'Offline',
      value: formatNumber(states.offline),
      note: formatPart(states.offline, devices),
      term: 'state=offline',
      warn: states.offline > 0,
    },
    {
      name: 'Silent',
      value: formatNumber(states.silent),
      note: away === 0 ? 'all reachable' : 'says online, not heard',
      term: 'state=silent',
      warn: states.silent > 0,
    },
    {
      name: 'Jobs open',
      value: formatNumber(summary.busy),
      note: `${formatNumber(summary.failed)} failed last`,
      term: 'job in (queued, in_progress)',
    },
    {
      name: 'Throttled',
      value: formatNumber(summary.throttled),
      note: `hottest ${formatCelsius(summary.maxCelsius)}`,
      term: 'throttled=yes',
      warn: summary.throttled > 0,
    },
    {
      name: 'Median p90',
      value: summary.medianP90Ms === null ? '–' : `${formatMs(summary.medianP90Ms)} ms`,
      note: `${formatNumber(summary.withModel)} run a model`,
      term: null,
    },
  ];
}

interface TilesProps {
  readonly summary: Summary;
  readonly filter: string;
  readonly onToggle: (term: string) => void;
}

/** The fleet in six figures; those that name devices filter the table. */
export function Tiles({ summary, filter, onToggle }: TilesProps) {
  return (
    <section class="tiles" aria-label="Summary">
      {tilesOf(summary).map(({ name, value, note, term, warn }) => {
        const content = (
          <>
            <span class="tile-name">{name}</span>
            <span class="tile-value">{value}</span>
            <span class="tile-note">{note}</span>
          </>
        );
        const look = `tile ${warn === true ? 'warn' : ''}`;
        return term === null ? (
          <div key={name} class={look}>
            {content}
          </div>
        ) : (
          <button
            key={name}
            type="button"
            class={look}
            aria-pressed={hasTerm(filter, term)}
            onClick={() => onToggle(term)}
          >
            {content}
          </button>
        );
      })}
    </section>
  );
}
