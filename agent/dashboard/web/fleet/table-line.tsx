import { Component } from 'preact';
import type { DeviceRow } from '../../../contracts/dashboard.ts';
import { goTo, linkTo } from '../state/router.ts';
import { formatNumber, plural } from '../ui/format.ts';
import { columns } from './columns.tsx';
import type { Line } from './order.ts';

interface LineProps {
  readonly line: Line;
  /** The device as it is now. */
  readonly row: DeviceRow | null;
  readonly index: number;
  readonly top: number;
  readonly marked: boolean;
}

/** The heading is row 1 of the grid. */
const FIRST_ROW = 2;

/** A line of the table. Drawn again only when its own device, place or mark has changed. */
export class TableLine extends Component<LineProps> {
  override shouldComponentUpdate(next: Readonly<LineProps>): boolean {
    const { row, top, marked, index, line } = this.props;
    if (next.line.kind === 'group') return next.line !== line || next.top !== top;
    return next.row !== row || next.top !== top || next.marked !== marked || next.index !== index;
  }

  override render({ line, row, index, top, marked }: Readonly<LineProps>) {
    // Moved by a transform: no layout is done for it, and it is no layout shift.
    const style = { transform: `translateY(${top}px)` };
    if (line.kind === 'group') {
      return (
        <div class="line group" role="row" aria-rowindex={index + FIRST_ROW} style={style}>
          <div role="gridcell" class="group-name" aria-colspan={columns.length}>
            {line.name}{' '}
            <span class="muted">
              {plural(line.devices, 'device')}, {formatNumber(line.online)} online
            </span>
          </div>
        </div>
      );
    }
    const current = row ?? line.row;
    return (
      <div
        id={`line-${current.deviceId}`}
        class={`line ${marked ? 'marked' : ''} ${current.state}`}
        role="row"
        aria-rowindex={index + FIRST_ROW}
        style={style}
        onDblClick={() => goTo(linkTo(['devices', current.deviceId]))}
      >
        {columns.map(({ key, numeric, show }) => (
          <div key={key} role="gridcell" class={`cell ${key} ${numeric === true ? 'numeric' : ''}`}>
            {show(current)}
          </div>
        ))}
      </div>
    );
  }
}
