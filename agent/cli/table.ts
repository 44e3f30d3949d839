import type { BenchReport } from '../contracts/bench.ts';
import {
  allColumns,
  fidelityColumns,
  heatColumns,
  legend,
  speedColumns,
  type Column,
} from '../fit/report/columns.ts';
import { factLines } from '../fit/report/facts-lines.ts';
import { hang, plain, styled, wrap, type Style } from './text.ts';

export interface RenderOptions {
  readonly width: number;
  readonly color: boolean;
}

/** From this width on all columns stand in one table. */
const WIDE = 150;
const GAP = '  ';
const LABEL_WIDTH = 13;

const ROW_STYLES: Readonly<Record<string, Style>> = { chosen: 'green', failed: 'red' };

/** The whole report as text: the machine, the tables, the choice, and why not the others. */
export function renderReport(report: BenchReport, options: RenderOptions): string {
  const sections = [
    facts(report, options),
    ...tables(report, options),
    wrap(legend(report), options.width).map((line) => styled(line, 'dim', options.color)),
    choice(report, options),
    notChosen(report, options),
    report.warnings.flatMap((warning) => hang('Warning: ', warning, options.width)),
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

function facts(report: BenchReport, { width }: RenderOptions): readonly string[] {
  return factLines(report).flatMap(({ label, texts }) =>
    texts.flatMap((text, index) =>
      hang((index === 0 ? label : '').padEnd(LABEL_WIDTH), text, width),
    ),
  );
}

function tables(report: BenchReport, options: RenderOptions): readonly (readonly string[])[] {
  const all = allColumns(report);
  const fits =
    options.width >= WIDE &&
    renderTable(report, all, false).every((line) => line.length <= options.width);
  const layouts = fits ? [all] : [speedColumns, heatColumns(report), fidelityColumns];
  return layouts
    .filter((columns) => columns.length > 0)
    .map((columns) => renderTable(report, columns, options.color));
}

/** A header of two lines (title, unit), then one line per candidate; numbers to the right. */
export function renderTable(
  report: BenchReport,
  columns: readonly Column[],
  color: boolean,
): readonly string[] {
  const rows = report.candidates.map((row, index) =>
    columns.map((column) => plain(column.cell(row, index + 1))),
  );
  const heads = [columns.map(({ title }) => title), columns.map(({ unit }) => unit)];
  const widths = columns.map((_, at) =>
    Math.max(...[...heads, ...rows].map((cells) => cells[at]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    columns
      .map(({ align }, at) => {
        const [cell, width] = [cells[at] ?? '', widths[at] ?? 0];
        return align === 'right' ? cell.padStart(width) : cell.padEnd(width);
      })
      .join(GAP)
      .trimEnd();
  const body = rows.map((cells, index) => {
    const style = ROW_STYLES[report.candidates[index]?.verdict ?? ''];
    return style === undefined ? line(cells) : styled(line(cells), style, color);
  });
  return [...heads.map((cells) => styled(line(cells), 'bold', color)), ...body];
}

function choice(report: BenchReport, { width, color }: RenderOptions): readonly string[] {
  const at = report.candidates.findIndex(({ id }) => id === report.chosen);
  const row = report.candidates[at];
  if (row === undefined) return ['Chosen: nothing'];
  const title = styled(`Chosen: #${at + 1} ${plain(row.id)}`, 'bold', color);
  return [title, ...hang('  ', row.reason, width)];
}

function notChosen(report: BenchReport, { width }: RenderOptions): readonly string[] {
  const others = report.candidates.flatMap(({ id, verdict, reason }, index) =>
    verdict === 'chosen' ? [] : [{ lead: `  #${index + 1} ${plain(id)}`, verdict, reason }],
  );
  if (others.length === 0) return [];
  const leadWidth = Math.max(...others.map(({ lead }) => lead.length)) + GAP.length;
  const lines = others.flatMap(({ lead, verdict, reason }) =>
    hang(lead.padEnd(leadWidth), verdict === 'failed' ? `failed: ${reason}` : reason, width),
  );
  return ['Not chosen:', ...lines];
}
