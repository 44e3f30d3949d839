import { extname } from 'node:path';
import type { Comparison, InspectReport, LayerError } from '../../contracts/inspect.ts';
import { errorBars, escapeXml } from './inspect-svg.ts';
import { comparisonText, dbText } from './inspect-words.ts';

/** Kinds of file a comparison can be drawn into, by extension. */
export const CHART_KINDS = ['.svg', '.html'] as const;

export function isChartPath(path: string): boolean {
  return CHART_KINDS.some((kind) => kind === extname(path).toLowerCase());
}

/** The error of each layer as a drawing: the text of the file at `path`. */
export function drawComparison(report: InspectReport, path: string): string {
  const { comparison, model, quantized } = report;
  if (comparison === undefined) throw new Error('there is no comparison to draw');
  const title = `${quantized?.name ?? ''} against ${model.name}`;
  const subtitle = comparisonText(comparison);
  const svg = errorBars(comparison.layers, { title, subtitle });
  return extname(path).toLowerCase() === '.html' ? page(title, svg, comparison) : `${svg}\n`;
}

const PAGE_STYLE = `
  :root { color-scheme: light dark; }
  body { font: 14px/1.5 system-ui, sans-serif; margin: 24px; background: Canvas; color: CanvasText; }
  svg { max-width: 100%; height: auto; }
  table { border-collapse: collapse; margin-top: 24px; font-size: 13px; }
  th, td { padding: 2px 12px 2px 0; text-align: left; white-space: nowrap; }
  th { position: sticky; top: 0; background: Canvas; border-bottom: 1px solid GrayText; }
  td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }`;

/** One file that refers to nothing outside. */
function page(title: string, svg: string, { layers, unmatched }: Comparison): string {
  const left = unmatched.map(
    ({ node, op, reason }) => `<li>${escapeXml(`${node} (${op}): ${reason}`)}</li>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeXml(title)}</title>
<style>${PAGE_STYLE}
</style>
</head>
<body>
${svg}
${tableOf(layers)}
${left.length === 0 ? '' : `<h2>Not compared</h2>\n<ul>\n${left.join('\n')}\n</ul>`}
</body>
</html>
`;
}

const HEADS = [
  ['#', true],
  ['layer', false],
  ['op', false],
  ['computes in', false],
  ['SQNR', true],
  ['own SQNR', true],
  ['largest error', true],
  ['float range', true],
  ['quantized range', true],
  ['tensor', false],
] as const;

function tableOf(layers: readonly LayerError[]): string {
  const row = (tag: string, cells: readonly string[]) =>
    `<tr>${cells
      .map((cell, at) => {
        const numeric = HEADS[at]?.[1] === true ? ' class="n"' : '';
        return `<${tag}${numeric}>${escapeXml(cell)}</${tag}>`;
      })
      .join('')}</tr>`;
  const head = HEADS.map(([name]) => name);
  const rows = layers.map((layer, at) => row('td', cellsOf(layer, at + 1)));
  return `<table>\n<thead>${row('th', head)}</thead>\n<tbody>\n${rows.join('\n')}\n</tbody>\n</table>`;
}

function cellsOf(layer: LayerError, number: number): readonly string[] {
  return [
    String(number),
    layer.node,
    layer.op,
    layer.integer ? 'integers' : 'float',
    dbText(layer.sqnrDb),
    dbText(layer.ownSqnrDb),
    layer.maxAbsError.toPrecision(3),
    rangeText(layer.floatRange),
    rangeText(layer.quantizedRange),
    layer.tensor,
  ];
}

function rangeText(range: LayerError['floatRange']): string {
  return range === null ? '-' : `${range.min.toPrecision(3)} to ${range.max.toPrecision(3)}`;
}
