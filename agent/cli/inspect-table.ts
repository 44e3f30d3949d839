import type {
  Comparison,
  InspectReport,
  InspectedModel,
  LayerError,
} from '../contracts/inspect.ts';
import { dbScale, onScale, shortened } from '../fit/inspect/inspect-svg.ts';
import type { DbScale } from '../fit/inspect/inspect-svg.ts';
import {
  comparisonText,
  dbText,
  isOwnKnown,
  steepestFalls,
  worstLayers,
} from '../fit/inspect/inspect-words.ts';
import { bytesText, counted } from '../fit/report/words.ts';
import { hang, plain, wrap } from './text.ts';

const LABEL = 12;
const GAP = '  ';
/** Heaviest layers shown when nothing else was asked for. */
const HEAVIEST = 5;
const BAR = 10;
const MOST_FALLS = 3;
/** Tensors that could not be compared, named one by one. */
const MOST_UNMATCHED = 10;

/** What the program found, as text. */
export function renderInspect(report: InspectReport, width: number, top?: number): string {
  const { comparison, quantized, model } = report;
  const warnings = report.warnings.flatMap((text) => hang('Warning: ', text, width));
  const sections =
    comparison === undefined || quantized === undefined
      ? [summary(model, report, width), operators(model), heaviest(model, width, top ?? HEAVIEST)]
      : [
          pair(report, quantized, comparison, width),
          layerTable(comparison, width, top),
          reading(comparison, width),
          unmatched(comparison, width),
        ];
  return `${[...sections, warnings]
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

function labelled(label: string, texts: readonly string[], width: number): readonly string[] {
  return texts.flatMap((text, at) => hang((at === 0 ? label : '').padEnd(LABEL), text, width));
}

function summary(
  model: InspectedModel,
  { integerCoverage }: InspectReport,
  width: number,
): readonly string[] {
  const { producer, irVersion, opsets, parameters } = model;
  const sets = opsets.map(({ domain, version }) => `${domain} ${version}`).join(', ');
  const version =
    model.format === 'onnx' ? `ir ${irVersion}, opset ${sets}` : `schema version ${irVersion}`;
  const by = producer === '' ? '' : `, by ${producer}`;
  const weights = parameters.map(
    ({ dtype, count, bytes }) => `${count.toLocaleString('en')} ${dtype}, ${bytesText(bytes)}`,
  );
  return [
    ...labelled('Model', [`${model.name} (${model.path})`], width),
    ...labelled('Format', [`${model.format} ${version}${by}`], width),
    ...labelled('Size', [bytesText(model.bytes)], width),
    ...labelled('Precision', [precisionText(model)], width),
    ...labelled('Integer', coverageTexts(integerCoverage), width),
    ...labelled('Inputs', model.inputs.map(valueText), width),
    ...labelled('Outputs', model.outputs.map(valueText), width),
    ...labelled('Parameters', weights, width),
  ];
}

function valueText({ name, dtype, shape }: InspectedModel['inputs'][number]): string {
  const sizes = shape?.map((size) => size ?? '?').join(',') ?? '...';
  return `${name}  ${dtype}[${sizes}]`;
}

const FORM_TEXTS: Readonly<Record<NonNullable<InspectedModel['form']>, string>> = {
  qdq: 'QDQ: QuantizeLinear and DequantizeLinear around float ops',
  qoperator: 'QOperator: integer ops',
  dynamic: 'dynamic: activations become integers as they arrive',
  'weight-only': 'weights only',
  simulated: 'simulated: Quant nodes (QONNX, Brevitas, FINN)',
};

function precisionText({ precision, form, format }: InspectedModel): string {
  if (form === null) return precision;
  const isTflite = format === 'tflite' && form === 'qoperator';
  return `${precision}, ${isTflite ? 'integer kernels' : FORM_TEXTS[form]}`;
}

function coverageTexts(coverage: number | null): readonly string[] {
  if (coverage === null) return ['unknown'];
  return [`${(coverage * 100).toFixed(1)}% of the multiply-accumulates`];
}

/** Columns under their titles; `align` has `r` or `l` per column. */
function table(rows: readonly (readonly string[])[], align: string): readonly string[] {
  const widths = Array.from(align, (_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, at) =>
        align[at] === 'r' ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0),
      )
      .join(GAP)
      .trimEnd(),
  );
}

const OP_WIDTH = 36;

function operators({ ops }: InspectedModel): readonly string[] {
  const rows = ops.map(({ op, nodes, parameters, parameterBytes }) => [
    shortened(plain(op), OP_WIDTH),
    String(nodes),
    parameters === 0 ? '' : parameters.toLocaleString('en'),
    parameterBytes === 0 ? '' : bytesText(parameterBytes),
  ]);
  return table([['op', 'nodes', 'parameters', 'bytes'], ...rows], 'lrrr');
}

function heaviest({ layers, bytes }: InspectedModel, width: number, top: number) {
  const shown = layers.slice(0, top);
  if (shown.length === 0) return [];
  const room = width - 44;
  const rows = shown.map(({ node, op, parameterBytes }) => [
    shortened(plain(node), room),
    shortened(plain(op), 20),
    bytesText(parameterBytes),
    `${((parameterBytes / bytes) * 100).toFixed(0)}%`,
  ]);
  return table([['heaviest layers', 'op', 'bytes', 'of file'], ...rows], 'llrr');
}

function titleOf(model: InspectedModel): string {
  return `${model.name} (${model.path}), ${bytesText(model.bytes)}, ${precisionText(model)}`;
}

function pair(
  { model, integerCoverage }: InspectReport,
  quantized: InspectedModel,
  comparison: Comparison,
  width: number,
): readonly string[] {
  return [
    ...labelled('Float', [titleOf(model)], width),
    ...labelled('Quantized', [titleOf(quantized)], width),
    ...labelled('Integer', coverageTexts(integerCoverage), width),
    ...labelled('Samples', [comparison.source], width),
    ...labelled('Compared', [comparisonText(comparison)], width),
  ];
}

/** Every layer in the order of the graph, or the `top` that add most error, in the same order. */
function layerTable(
  { layers }: Comparison,
  width: number,
  top: number | undefined,
): readonly string[] {
  const scale = dbScale(layers.flatMap(({ sqnrDb }) => sqnrDb ?? []));
  const shown = new Set(top === undefined ? layers : worstLayers(layers).slice(0, top));
  const rows = [
    ['#', 'layer', 'op', 'in', 'SQNR', 'own', 'largest', `${scale.from} to ${scale.to}`],
    ['', '', '', '', 'dB', 'dB', 'error', 'dB'],
    ...layers.flatMap((layer, at) => (shown.has(layer) ? [cells(layer, at + 1, scale)] : [])),
  ];
  // The names get what the other columns leave, the numbers and bars stay whole.
  const widths =
    rows[0]?.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0))) ?? [];
  const others = widths.reduce((sum, one, at) => sum + (at === NAME ? 0 : one + GAP.length), 0);
  const room = Math.max(LEAST_NAME, width - others);
  const named = rows.map((row) =>
    row.map((cell, at) => (at === NAME ? shortened(cell, room) : cell)),
  );
  return table(named, 'rlllrrrl');
}

/** The column of names, and the least that is left of one. */
const NAME = 1;
const LEAST_NAME = 12;
const OP = 18;

function cells(layer: LayerError, number: number, scale: DbScale): readonly string[] {
  const { sqnrDb, ownSqnrDb, maxAbsError } = layer;
  const share = sqnrDb === null ? 1 : onScale(sqnrDb, scale);
  return [
    String(number),
    plain(layer.node),
    shortened(plain(layer.op), OP),
    layer.integer ? 'int' : 'float',
    figure(sqnrDb),
    ownSqnrDb === undefined ? '-' : figure(ownSqnrDb),
    maxAbsError === 0 ? '0' : maxAbsError.toPrecision(3),
    '#'.repeat(Math.round(share * BAR)),
  ];
}

function figure(db: number | null): string {
  return db === null ? 'exact' : db.toFixed(1);
}

/** The summary in one paragraph: what to look at first. */
function reading({ layers, worst }: Comparison, width: number): readonly string[] {
  if (worst.length === 0) return ['No layer differs from the float model.'];
  const named = worst.flatMap((tensor) => layers.filter((layer) => layer.tensor === tensor));
  const isOwn = isOwnKnown(layers);
  const texts = named.map((layer) => {
    const db = dbText(isOwn ? layer.ownSqnrDb : layer.sqnrDb);
    return `${plain(layer.node)} (${plain(layer.op)}, ${db})`;
  });
  const what = isOwn ? 'Most error is added by' : 'Most error is in';
  const falls = steepestFalls(layers, MOST_FALLS).map((layer) => {
    return `${plain(layer.node)} (${dbText(layer.inputSqnrDb)} to ${dbText(layer.sqnrDb)})`;
  });
  return [
    ...wrap(`${what}: ${texts.join(', ')}.`, width),
    ...(falls.length === 0 ? [] : wrap(`SQNR falls most in: ${falls.join(', ')}.`, width)),
  ];
}

function unmatched({ unmatched: left }: Comparison, width: number): readonly string[] {
  const shown = left.slice(0, MOST_UNMATCHED);
  const texts = shown.map(({ node, op, reason }) => `${plain(node)} (${plain(op)}): ${reason}`);
  const more = left.length - shown.length;
  if (more > 0) texts.push(`and ${counted(more, 'tensor')} more, see --json`);
  return texts.length === 0
    ? []
    : ['Not compared:', ...texts.flatMap((text) => hang('  ', text, width))];
}
