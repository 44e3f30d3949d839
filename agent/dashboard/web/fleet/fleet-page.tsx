import { useEffect, useMemo, useState } from 'preact/hooks';
import type { DeviceRow } from '../../../contracts/dashboard.ts';
import { devices, loaded } from '../state/fleet.ts';
import { linkTo, replaceLink } from '../state/router.ts';
import { useStore } from '../state/store.ts';
import { Empty } from '../ui/empty.tsx';
import { plural } from '../ui/format.ts';
import { DeviceTable } from './device-table.tsx';
import { filterRows, toggleTerm } from './filter.ts';
import { FilterBar } from './filter-bar.tsx';
import { groupLines, sortKeys, sortRows, type Line, type Order } from './order.ts';
import { PrecisionMapView } from './precision-map.tsx';
import { mapPrecisions, summarize } from './summary.ts';
import { Tiles } from './tiles.tsx';

/** What the address says of the table. */
interface View {
  readonly filter: string;
  readonly order: Order;
  readonly grouped: boolean;
}

function readView(query: URLSearchParams): View {
  const sort = query.get('sort') ?? 'device';
  const key = sortKeys.find((each) => each === sort.replace(/^-/, '')) ?? 'device';
  return {
    filter: query.get('q') ?? '',
    order: { key, descending: sort.startsWith('-') },
    grouped: query.get('group') === 'class',
  };
}

function linkOf({ filter, order, grouped }: View): string {
  const sort = `${order.descending ? '-' : ''}${order.key}`;
  return linkTo(['fleet'], {
    q: filter,
    sort: sort === 'device' ? '' : sort,
    group: grouped ? 'class' : '',
  });
}

/** Values of the rows may change many times a second, their order shall not. */
const REORDER_MS = 1000;

/** A number that grows with changes of the fleet, at most once in `REORDER_MS`. */
function useSlowVersion(version: number): number {
  const [slow, setSlow] = useState(version);
  useEffect(() => {
    if (version === slow) return undefined;
    // The first rows are shown at once.
    const timer = setTimeout(() => setSlow(version), slow <= 1 ? 0 : REORDER_MS);
    return () => clearTimeout(timer);
  }, [version > slow, slow]);
  return slow;
}

function linesOf(rows: readonly DeviceRow[], { order, grouped }: View): readonly Line[] {
  const sorted = sortRows(rows, order);
  return grouped ? groupLines(sorted) : sorted.map((row): Line => ({ kind: 'device', row }));
}

export function FleetPage({ query }: { readonly query: URLSearchParams }) {
  const { version, byId } = useStore(devices);
  const known = useStore(loaded);
  const view = readView(query);
  const [typing, setTyping] = useState(false);
  const slow = useSlowVersion(version);
  const all = useMemo(() => [...byId.values()], [byId, slow]);
  const summary = useMemo(() => summarize(all), [all]);
  const map = useMemo(() => mapPrecisions(all), [all]);
  const lines = useMemo(
    () => linesOf(filterRows(all, view.filter, typing), view),
    [all, typing, view.filter, view.order.key, view.order.descending, view.grouped],
  );
  const shown = lines.filter((line) => line.kind === 'device').length;
  const show = (change: Partial<View>) => replaceLink(linkOf({ ...view, ...change }));
  const toggle = (term: string) => show({ filter: toggleTerm(view.filter, term) });
  return (
    <div class="fleet">
      <h1 class="hidden">Fleet</h1>
      <div class="overview">
        <Tiles summary={summary} filter={view.filter} onToggle={toggle} />
        <PrecisionMapView map={map} filter={view.filter} onFilter={(filter) => show({ filter })} />
      </div>
      <FilterBar
        filter={view.filter}
        grouped={view.grouped}
        count={
          shown === all.length
            ? plural(all.length, 'device')
            : `${shown.toLocaleString('en')} of ${plural(all.length, 'device')}`
        }
        onFilter={(filter) => show({ filter })}
        onTyping={setTyping}
        onGroup={(grouped) => show({ grouped })}
      />
      <DeviceTable
        lines={lines}
        byId={byId}
        version={version}
        order={view.order}
        onOrder={(order) => show({ order })}
      />
      {known && all.length === 0 && (
        <Empty title="No device has reported yet">
          Start one with <code>agent run</code>; it appears here by itself.
        </Empty>
      )}
      {all.length > 0 && shown === 0 && (
        <Empty title="No device fits the filter">
          <button type="button" class="button" onClick={() => show({ filter: '' })}>
            Clear the filter
          </button>
        </Empty>
      )}
    </div>
  );
}
