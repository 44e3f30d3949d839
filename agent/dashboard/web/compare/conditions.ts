import type { Compare } from '../../../contracts/dashboard.ts';
import { formatBytes, formatNumber, formatTime, toMs, UNKNOWN } from '../ui/format.ts';

type Side = Compare['left'];

const LINES: readonly (readonly [name: string, of: (side: Side) => string])[] = [
  ['device', (side) => side.deviceId],
  ['report', (side) => side.benchId],
  ['measured', ({ report }) => formatTime(toMs(report.startedAt))],
  ['agent', ({ report }) => report.agent],
  ['model', ({ report }) => report.model.name],
  [
    'model file',
    ({ report }) => `${report.model.sha256.slice(0, 12)}, ${formatBytes(report.model.bytes)}`,
  ],
  ['board', ({ report }) => report.device.board.model ?? report.device.board.id],
  ['class', ({ report }) => report.device.profile.id],
  [
    'CPU',
    ({ report }) =>
      `${report.device.cpu.model ?? UNKNOWN}, ${formatNumber(report.device.cpu.coresOnline)} cores`,
  ],
  [
    'governor',
    ({ report }) => report.conditions?.governor ?? report.device.cpu.governor ?? UNKNOWN,
  ],
  [
    'samples',
    ({ report }) =>
      `${report.samples.evaluation}, ${report.samples.labelled ? '' : 'not '}labelled`,
  ],
  ['chosen', ({ report }) => report.chosen ?? 'none'],
];

export interface ConditionLine {
  readonly name: string;
  readonly left: string;
  readonly right: string;
}

/** What two reports are of, line by line. */
export function conditionsOf(left: Side, right: Side): ConditionLine[] {
  return LINES.map(([name, of]) => ({ name, left: of(left), right: of(right) }));
}
