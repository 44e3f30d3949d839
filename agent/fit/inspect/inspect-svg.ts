import type { LayerError } from '../../contracts/inspect.ts';
import { dbText } from './inspect-words.ts';

/** A chart of rows: names stay legible however many layers there are, the page just grows. */

export interface ChartText {
  readonly title: string;
  readonly subtitle: string;
}

/** dB from the left edge to the right one, in whole steps. */
export interface DbScale {
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly number[];
}

const TICK_DB = 10;
/** A smaller scale makes small differences look large. */
const LEAST_TOP_DB = 40;
/** Beyond these a bar ends at the edge: nobody needs to tell 90 dB from 100, or -40 from -200. */
const LOWEST_DB = -40;
const HIGHEST_DB = 80;

const ROW = 18;
const BAR = 11;
const NAME_WIDTH = 330;
const OP_WIDTH = 140;
const PLOT_WIDTH = 420;
const VALUE_WIDTH = 130;
const MARGIN = 16;
const HEAD = 92;
const LEFT = MARGIN + NAME_WIDTH + OP_WIDTH;
const WIDTH = LEFT + PLOT_WIDTH + VALUE_WIDTH + MARGIN;
/** Characters of 12 px monospace that fit. */
const NAME_CHARS = 44;
const OP_CHARS = 18;
const STYLE = `
    svg { background: #fff; }
    text { font: 12px ui-monospace, Menlo, Consolas, monospace; fill: #1f2328; }
    .title { font: 600 16px system-ui, sans-serif; }
    .note, .op, .tick { fill: #59636e; }
    .note { font: 12px system-ui, sans-serif; }
    .grid { stroke: #d1d9e0; stroke-width: 1; }
    .integer { fill: #0969da; }
    .float { fill: #bf8700; }
    .own { fill: #fff; stroke: #1f2328; stroke-width: 1.5; }
    .out { font-weight: 700; }
    @media (prefers-color-scheme: dark) {
      svg { background: #0d1117; }
      text { fill: #f0f6fc; }
      .note, .op, .tick { fill: #9198a1; }
      .grid { stroke: #3d444d; }
      .integer { fill: #4493f8; }
      .float { fill: #d29922; }
      .own { fill: #0d1117; stroke: #f0f6fc; }
    }`;

/** XML text: markup escaped, and control characters, which XML cannot hold at all, left out. */
export function escapeXml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': 'amp',
    '<': 'lt',
    '>': 'gt',
    '"': 'quot',
  };
  return text
    .replaceAll(/\p{Cc}+/gu, ' ')
    .replaceAll(/[&<>"]/g, (one) => `&${entities[one] ?? ''};`);
}

/** The end of a long name is what tells layers apart. */
export function shortened(name: string, length: number): string {
  return name.length <= length ? name : `...${name.slice(3 - length)}`;
}

/** A scale that holds all values, from 0 to at least 40 dB. */
export function dbScale(values: readonly number[]): DbScale {
  const clamped = values.map((value) => Math.min(HIGHEST_DB, Math.max(LOWEST_DB, value)));
  const from = Math.floor(Math.min(0, ...clamped) / TICK_DB) * TICK_DB;
  const to = Math.ceil(Math.max(LEAST_TOP_DB, ...clamped) / TICK_DB) * TICK_DB;
  const count = (to - from) / TICK_DB + 1;
  return { from, to, ticks: Array.from({ length: count }, (_, at) => from + at * TICK_DB) };
}

/** Position of a value on the scale, 0 to 1; values beyond it end at its edges. */
export function onScale(value: number, { from, to }: DbScale): number {
  return Math.min(1, Math.max(0, (value - from) / (to - from)));
}

/** Bars of the SQNR of every layer in the order of the graph, a mark for what each adds itself. */
export function errorBars(layers: readonly LayerError[], { title, subtitle }: ChartText): string {
  const figures = layers.flatMap(({ sqnrDb, ownSqnrDb }) => [sqnrDb ?? [], ownSqnrDb ?? []].flat());
  const scale = dbScale(figures);
  const bottom = HEAD + layers.length * ROW;
  const height = bottom + 28;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escapeXml(title)}">`,
    `  <style>${STYLE}\n  </style>`,
    `  <rect width="${WIDTH}" height="${height}" fill="none"/>`,
    `  <text class="title" x="${MARGIN}" y="26">${escapeXml(shortened(title, 90))}</text>`,
    `  <text class="note" x="${MARGIN}" y="46">${escapeXml(subtitle)}</text>`,
    ...legend(),
    ...axes(scale, bottom),
    ...layers.flatMap((layer, at) => row(layer, at, scale)),
    '</svg>',
  ].join('\n');
}

function legend(): string[] {
  const items = [
    ['integer', 'SQNR up to a layer in integers'],
    ['float', '... in float'],
  ] as const;
  const boxes = items.map(([style, text], at) => {
    const x = MARGIN + at * 210;
    return `  <rect class="${style}" x="${x}" y="57" width="12" height="10"/><text class="note" x="${x + 18}" y="66">${text}</text>`;
  });
  const x = MARGIN + 320;
  return [
    ...boxes,
    `  <circle class="own" cx="${x}" cy="62" r="4"/><text class="note" x="${x + 10}" y="66">what the layer adds itself; further right is better, 6 dB are one bit</text>`,
  ];
}

function axes(scale: DbScale, bottom: number): string[] {
  const lines = scale.ticks.map((tick) => {
    const x = xOf(tick, scale);
    return `  <line class="grid" x1="${x}" x2="${x}" y1="${HEAD - 4}" y2="${bottom + 4}"/>`;
  });
  // Above and below: a long chart shows one of them only.
  const labels = [HEAD - 8, bottom + 18].flatMap((y) =>
    scale.ticks.map((tick) => {
      const unit = tick === scale.to ? ' dB' : '';
      return `  <text class="tick" x="${xOf(tick, scale)}" y="${y}" text-anchor="middle">${tick}${unit}</text>`;
    }),
  );
  return [...lines, ...labels];
}

const xOf = (value: number, scale: DbScale) =>
  Math.round(LEFT + onScale(value, scale) * PLOT_WIDTH);

function row(layer: LayerError, at: number, scale: DbScale): string[] {
  const { sqnrDb, ownSqnrDb, integer, output, node, op } = layer;
  const y = HEAD + at * ROW;
  const text = y + ROW - 5;
  const end = sqnrDb === null ? LEFT + PLOT_WIDTH : xOf(sqnrDb, scale);
  const style = integer ? 'integer' : 'float';
  const value = sqnrDb === null ? 'exact' : sqnrDb.toFixed(1);
  const name = escapeXml(shortened(node, NAME_CHARS));
  const mark = ownSqnrDb === undefined || ownSqnrDb === null ? [] : [xOf(ownSqnrDb, scale)];
  return [
    `  <g><title>${escapeXml(hover(layer))}</title>`,
    `    <rect x="0" y="${y}" width="${WIDTH}" height="${ROW}" fill="transparent"/>`,
    `    <text${output ? ' class="out"' : ''} x="${LEFT - OP_WIDTH - 10}" y="${text}" text-anchor="end">${name}</text>`,
    `    <text class="op" x="${LEFT - OP_WIDTH}" y="${text}">${escapeXml(shortened(op, OP_CHARS))}</text>`,
    `    <rect class="${style}" x="${LEFT}" y="${y + (ROW - BAR) / 2}" width="${Math.max(1, end - LEFT)}" height="${BAR}"/>`,
    ...mark.map((x) => `    <circle class="own" cx="${x}" cy="${y + ROW / 2}" r="4"/>`),
    `    <text x="${LEFT + PLOT_WIDTH + 12}" y="${text}">${value}${ownText(ownSqnrDb)}</text>`,
    '  </g>',
  ];
}

function ownText(own: LayerError['ownSqnrDb']): string {
  if (own === undefined) return '';
  return own === null ? ' / exact' : ` / ${own.toFixed(1)}`;
}

/** What a browser shows while the pointer is on a row. */
function hover(layer: LayerError): string {
  const own = layer.ownSqnrDb === undefined ? '' : `, the layer itself ${dbText(layer.ownSqnrDb)}`;
  const where = layer.integer ? 'in integers' : 'in float';
  return `${layer.node} (${layer.op}, ${where}): ${dbText(layer.sqnrDb)}${own}, largest error ${layer.maxAbsError.toPrecision(3)}; tensor ${layer.tensor}`;
}
