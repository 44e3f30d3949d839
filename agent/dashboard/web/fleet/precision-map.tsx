import { formatMs, formatNumber, plural } from '../ui/format.ts';
import { hasTerm } from './filter.ts';
import { UNKNOWN_CLASS } from './order.ts';
import { NO_MODEL, type MapRow, type PrecisionMap } from './summary.ts';

interface MapProps {
  readonly map: PrecisionMap;
  readonly filter: string;
  readonly onFilter: (filter: string) => void;
}

function termsOf(row: MapRow, precision: string | null): readonly string[] {
  const classTerm = `class=${row.class === UNKNOWN_CLASS ? 'none' : row.class}`;
  return precision === null ? [classTerm] : [classTerm, `precision=${precision}`];
}

/** More than this share of a class in one precision: those outside it are the odd ones out. */
const MOST = 0.9;

function isOdd(row: MapRow, precision: string, count: number): boolean {
  if (precision === NO_MODEL || count === 0) return false;
  return count < row.devices / 2 && Math.max(...row.counts) >= row.devices * MOST;
}

interface CellProps {
  readonly row: MapRow;
  readonly precision: string;
  readonly count: number;
  readonly p90Ms: number | null;
  readonly filter: string;
  readonly onFilter: (filter: string) => void;
}

function Cell({ row, precision, count, p90Ms, filter, onFilter }: CellProps) {
  const terms = termsOf(row, precision);
  const pressed = terms.every((term) => hasTerm(filter, term));
  const odd = isOdd(row, precision, count);
  if (count === 0) return <td class="map-none">·</td>;
  return (
    <td>
      <button
        type="button"
        class={`map-cell ${odd ? 'odd' : ''}`}
        style={{ '--share': String(count / row.devices) }}
        aria-pressed={pressed}
        title={odd ? 'Most devices of this class run another precision' : undefined}
        onClick={() => onFilter(pressed ? '' : terms.join(' '))}
      >
        <span>{formatNumber(count)}</span>
        <span class="hidden">
          {` ${count === 1 ? 'device' : 'devices'} of ${row.class} in ${precision}`}
          {odd && ', most of the class run another'}
          {p90Ms !== null && ', median p90 '}
        </span>
        {p90Ms !== null && <span class="map-p90">{formatMs(p90Ms)} ms</span>}
      </button>
    </td>
  );
}

/** How many devices of each hardware class run each precision: a click shows them. */
export function PrecisionMapView({ map, filter, onFilter }: MapProps) {
  return (
    <section class="card map" aria-label="Precision by hardware class">
      <div class="map-scroll" tabIndex={0} role="group" aria-label="Map">
        <table>
          <caption>
            Precision by hardware class <span class="muted">devices, median p90</span>
          </caption>
          <thead>
            <tr>
              <th scope="col">class</th>
              {map.precisions.map((precision) => (
                <th key={precision} scope="col">
                  {precision}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {map.rows.map((row) => (
              <tr key={row.class}>
                <th scope="row">
                  <button
                    type="button"
                    class="map-class"
                    title={`${row.class}: ${plural(row.devices, 'device')}`}
                    onClick={() => onFilter(termsOf(row, null).join(' '))}
                  >
                    {row.class}
                  </button>
                </th>
                {map.precisions.map((precision, index) => (
                  <Cell
                    key={precision}
                    row={row}
                    precision={precision}
                    count={row.counts[index] ?? 0}
                    p90Ms={row.medianP90Ms[index] ?? null}
                    filter={filter}
                    onFilter={onFilter}
                  />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
