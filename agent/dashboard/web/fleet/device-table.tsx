import { useEffect, useRef, useState } from 'preact/hooks';
import type { DeviceRow } from '../../../contracts/dashboard.ts';
import { goTo, linkTo } from '../state/router.ts';
import { columns } from './columns.tsx';
import type { Line, Order, SortKey } from './order.ts';
import { TableLine } from './table-line.tsx';
import { moveMark, visibleRows } from './visible.ts';

interface TableProps {
  readonly lines: readonly Line[];
  /** The newest of every device; a line may hold an older one, it only says where the row stands. */
  readonly byId: ReadonlyMap<string, DeviceRow>;
  readonly version: number;
  readonly order: Order;
  readonly onOrder: (order: Order) => void;
}

interface View {
  readonly top: number;
  readonly height: number;
  readonly rowHeight: number;
}

const DEFAULT_ROW_HEIGHT = 34;

/** Where the table is scrolled to; the height of a row is the style sheet's (phones have higher ones). */
function useView() {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState<View>({ top: 0, height: 0, rowHeight: DEFAULT_ROW_HEIGHT });
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const measure = () => {
      const height = getComputedStyle(element).getPropertyValue('--row-height');
      setView({
        top: element.scrollTop,
        height: element.clientHeight,
        rowHeight: Number.parseFloat(height) || DEFAULT_ROW_HEIGHT,
      });
    };
    measure();
    const watch = new ResizeObserver(measure);
    watch.observe(element);
    element.addEventListener('scroll', measure, { passive: true });
    return () => {
      watch.disconnect();
      element.removeEventListener('scroll', measure);
    };
  }, []);
  return { box, view };
}

function nextOrder(order: Order, key: SortKey): Order {
  return { key, descending: order.key === key && !order.descending };
}

function HeadRow({ order, onOrder }: Pick<TableProps, 'order' | 'onOrder'>) {
  return (
    <div class="table-head" role="rowgroup">
      <div class="line" role="row" aria-rowindex={1}>
        {columns.map(({ key, name, numeric }) => (
          <div
            key={key}
            role="columnheader"
            class={`cell ${key} ${numeric === true ? 'numeric' : ''}`}
            aria-sort={order.key === key ? (order.descending ? 'descending' : 'ascending') : 'none'}
          >
            <button type="button" onClick={() => onOrder(nextOrder(order, key))}>
              {numeric !== true && name}
              <span class="arrow" aria-hidden="true">
                {order.key === key ? (order.descending ? '▼' : '▲') : ''}
              </span>
              {numeric === true && name}
            </button>
          </div>
        ))}
      </div>
    </div>
  );
}

const idOf = (line: Line | undefined) => (line?.kind === 'device' ? line.row.deviceId : null);

/** All devices: only the rows that can be seen are drawn, so ten thousand are as quick as ten. */
export function DeviceTable({ lines, byId, order, onOrder }: TableProps) {
  const { box, view } = useView();
  // The mark stays on its device when the order changes under it.
  const [marked, setMarked] = useState<string | null>(null);
  const at = marked === null ? -1 : lines.findIndex((line) => idOf(line) === marked);
  const { first, end } = visibleRows(lines.length, view.rowHeight, view);
  const page = Math.max(1, Math.floor(view.height / view.rowHeight) - 2);

  const mark = (from: number, key: string) => {
    let to = moveMark(key, from, lines.length, page);
    const step = key === 'ArrowUp' || key === 'PageUp' || key === 'End' ? -1 : 1;
    while (to !== null && lines[to]?.kind === 'group') to = to + step;
    const id = to === null ? null : idOf(lines[to]);
    if (to === null || id === null) return;
    setMarked(id);
    const element = box.current;
    if (element === null) return;
    const top = to * view.rowHeight;
    const bottom = top + view.rowHeight - (element.clientHeight - headHeight(element));
    element.scrollTop = Math.max(Math.min(element.scrollTop, top), bottom);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== box.current) return;
    if (event.key === 'Enter' && marked !== null && at !== -1) {
      goTo(linkTo(['devices', marked]));
      return;
    }
    if (moveMark(event.key, at, lines.length, page) === null) return;
    event.preventDefault();
    mark(at, event.key);
  };
  return (
    <div
      ref={box}
      class="device-table"
      role="grid"
      aria-label="Devices"
      aria-rowcount={lines.length + 1}
      aria-activedescendant={at === -1 ? undefined : `line-${marked}`}
      tabIndex={0}
      onKeyDown={onKeyDown}
    >
      <HeadRow order={order} onOrder={onOrder} />
      <div
        class="table-body"
        role="rowgroup"
        style={{ height: `${lines.length * view.rowHeight}px` }}
      >
        {lines.slice(first, end).map((line, index) => {
          const id = idOf(line);
          const current = id === null ? undefined : byId.get(id);
          return (
            <TableLine
              key={id ?? (line.kind === 'group' ? `group ${line.name}` : '')}
              line={line}
              row={current ?? null}
              index={first + index}
              top={(first + index) * view.rowHeight}
              marked={id !== null && id === marked}
            />
          );
        })}
      </div>
    </div>
  );
}

function headHeight(element: HTMLElement): number {
  return element.querySelector('.table-head')?.clientHeight ?? 0;
}
