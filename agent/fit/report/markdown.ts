import type { BenchReport } from '../../contracts/bench.ts';
import { latencyChart } from './chart.ts';
import { fidelityColumns, heatColumns, legend, speedColumns, type Column } from './columns.ts';
import { factLines } from './facts-lines.ts';

/** The report of `agent fit` as Markdown: the same content as on the screen, and a chart. */
export function renderMarkdown(report: BenchReport): string {
  const chosen = report.candidates.find(({ verdict }) => verdict === 'chosen');
  const others = report.candidates.filter(({ verdict }) => verdict !== 'chosen');
  const sections = [
    `# ${escape(report.model.name)} on ${escape(report.device.board.model ?? report.device.board.id)}`,
    chosen === undefined
      ? '**Nothing could be chosen.**'
      : `**Chosen: ${code(chosen.id)}** - ${escape(chosen.reason)}`,
    factList(report),
    `## Speed\n\n${table(report, speedColumns)}`,
    `Median latency:\n\n\`\`\`text\n${latencyChart(report)}\n\`\`\``,
    heatColumns(report).length === 0
      ? ''
      : `## Heat and power\n\n${table(report, heatColumns(report))}`,
    `## Size and fidelity\n\n${table(report, fidelityColumns)}\n\n${escape(legend(report))}`,
    others.length === 0 ? '' : `## Not chosen\n\n${list(others.map(whyNot))}`,
    report.warnings.length === 0 ? '' : `## Warnings\n\n${list(report.warnings.map(escape))}`,
    `Measured ${escape(report.startedAt)} by agent ${escape(report.agent)}.`,
  ];
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

function whyNot({ id, reason }: { readonly id: string; readonly reason: string }): string {
  return `${code(id)}: ${escape(reason)}`;
}

function factList(report: BenchReport): string {
  return list(
    factLines(report).map(({ label, texts }) =>
      texts.length === 1
        ? `${label}: ${escape(texts[0] ?? '')}`
        : `${label}:\n${texts.map((text) => `  - ${escape(text)}`).join('\n')}`,
    ),
  );
}

function list(items: readonly string[]): string {
  return items.map((item) => `- ${item}`).join('\n');
}

function table(report: BenchReport, columns: readonly Column[]): string {
  const heads = columns.map(({ title, unit }) => (unit === '' ? title : `${title}, ${unit}`));
  const rules = columns.map(({ align }) => (align === 'right' ? '--:' : ':--'));
  const rows = report.candidates.map((row, index) =>
    columns.map((column) => escape(column.cell(row, index + 1))),
  );
  return [heads, rules, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Names come from files of others: they must neither break a table nor become markup. */
function escape(text: string): string {
  return flat(text).replaceAll(/[\\|<>*_`[\]#]/g, String.raw`\$&`);
}

function code(text: string): string {
  return `\`${flat(text).replaceAll('`', "'")}\``;
}

function flat(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, ' ');
}
