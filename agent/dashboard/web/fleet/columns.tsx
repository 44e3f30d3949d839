import type { ComponentChildren } from 'preact';
import type { DeviceRow } from '../../../contracts/dashboard.ts';
import { isAway } from '../state/presence.ts';
import { linkTo } from '../state/router.ts';
import { Ago } from '../ui/ago.tsx';
import { formatCelsius, formatMs, formatShare, UNKNOWN } from '../ui/format.ts';
import { StateBadge } from '../ui/state-badge.tsx';
import type { SortKey } from './order.ts';

export interface Column {
  readonly key: SortKey;
  readonly name: string;
  readonly numeric?: boolean;
  readonly show: (row: DeviceRow) => ComponentChildren;
}

const unknown = <span class="muted">{UNKNOWN}</span>;

function Device({ row }: { readonly row: DeviceRow }) {
  return (
    <>
      <a href={linkTo(['devices', row.deviceId])} tabIndex={-1} title={row.deviceId}>
        {row.deviceId}
      </a>
      {row.cloned && (
        <span class="flag bad" title="Two machines use this id at once">
          cloned
        </span>
      )}
    </>
  );
}

function Model({ row }: { readonly row: DeviceRow }) {
  if (row.model === null) return unknown;
  const { name, version } = row.model;
  return (
    <span title={`${name} ${version}`}>
      {name} <span class="muted">{version}</span>
    </span>
  );
}

function Heat({ row }: { readonly row: DeviceRow }) {
  if (row.celsius === null) return unknown;
  if (isAway(row)) {
    return (
      <span class="stale" title="As it was when the device was last heard">
        {formatCelsius(row.celsius)}
      </span>
    );
  }
  return row.throttled === true ? (
    <span class="warn-text" title="Slowed down by heat or power">
      ▲ {formatCelsius(row.celsius)}
    </span>
  ) : (
    <>{formatCelsius(row.celsius)}</>
  );
}

export const columns: readonly Column[] = [
  { key: 'state', name: 'State', show: (row) => <StateBadge kind={row.state} /> },
  { key: 'device', name: 'Device', show: (row) => <Device row={row} /> },
  {
    key: 'class',
    name: 'Class',
    show: (row) =>
      row.class === null ? (
        unknown
      ) : (
        <span title={[row.class, row.board].filter(Boolean).join(': ')}>{row.class}</span>
      ),
  },
  { key: 'model', name: 'Model', show: (row) => <Model row={row} /> },
  {
    key: 'precision',
    name: 'Precision',
    show: (row) =>
      row.model === null ? unknown : <span class="precision">{row.model.precision}</span>,
  },
  {
    key: 'p90',
    name: 'p90 ms',
    numeric: true,
    show: (row) =>
      row.p90Ms === null ? (
        unknown
      ) : (
        <>
          {formatMs(row.p90Ms)}
          <span class="unit"> ms</span>
        </>
      ),
  },
  {
    key: 'accuracy',
    name: 'Accuracy',
    numeric: true,
    show: (row) =>
      row.accuracy === null ? (
        unknown
      ) : (
        <span title={row.accuracy.metric}>{formatShare(row.accuracy.value)}</span>
      ),
  },
  { key: 'temp', name: 'Temp.', numeric: true, show: (row) => <Heat row={row} /> },
  { key: 'seen', name: 'Last seen', numeric: true, show: (row) => <Ago ms={row.lastSeenMs} /> },
];
