import type { QuantizeReport } from '../contracts/quantize.ts';
import { bytesText, threeDigits, timesText } from '../fit/report/words.ts';
import { hang } from './text.ts';

/** What was written, what it cost, and what stayed float, one line per reason. */
export function renderQuantize(report: QuantizeReport, width: number): string {
  const { bytes, floatBytes, integerCoverage, ops } = report;
  const smaller = bytes < floatBytes ? `, ${timesText(floatBytes / bytes)} smaller` : '';
  const made = report.made === undefined ? report.scheme : `auto: ${report.made}`;
  const lines = [
    ...hang('Wrote     ', `${report.output} (${made})`, width),
    ...foundLines(report, width),
    ...candidateLines(report, width),
    `Size      ${bytesText(bytes)}, was ${bytesText(floatBytes)}${smaller}`,
    `Took      ${threeDigits(report.seconds)} s, peak memory ${bytesText(report.peakRssBytes)}`,
    `Nodes     ${ops.integer} integer, ${ops.fp16} fp16, ${ops.float} float`,
    ...(integerCoverage === null
      ? []
      : [`Integer   ${(integerCoverage * 100).toFixed(1)}% of the multiply-accumulates`]),
    ...accuracyLines(report, width),
    ...leftLines(report, width),
    ...(report.warnings ?? []).flatMap((text) => hang('Warning   ', text, width)),
  ];
  return `${lines.join('\n')}\n`;
}

/** Of static versions: the others are not run on samples. */
function accuracyLines({ sqnrDb }: QuantizeReport, width: number): readonly string[] {
  if (sqnrDb === undefined) return [];
  const close = sqnrDb === null ? 'the outputs are the same' : `SQNR ${sqnrDb.toFixed(1)} dB`;
  return hang('Accuracy  ', `${close} against float, on a few calibration samples`, width);
}

/** What was found in a model that was quantized before, and what was done about it. */
function foundLines({ found }: QuantizeReport, width: number): readonly string[] {
  if (found === undefined) return [];
  const { kind, changes } = found;
  const what = changes.length === 0 ? 'kept as it is' : `converted: ${changes.join('; ')}`;
  return hang('Found     ', `already quantized (${kind}), ${what}`, width);
}

/** What `--to auto` compared, one line each. */
function candidateLines({ candidates = [] }: QuantizeReport, width: number): readonly string[] {
  return candidates.flatMap(({ id, reason }, index) =>
    hang((index === 0 ? 'Compared' : '').padEnd(10), `${id}: ${reason}`, width),
  );
}

/** More are for --json. */
const MOST_REASONS = 12;

/** What stayed float, the commonest reason first; which tensor it was about is left to --json. */
function leftLines({ left }: QuantizeReport, width: number): readonly string[] {
  const counts = new Map<string, number>();
  for (const { op, reason } of left) {
    const text = `${op}: ${reason.replaceAll(/ '[^']*'/g, '')}`;
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  const sorted = joined(counts).toSorted(([, a], [, b]) => b - a);
  const texts = sorted.slice(0, MOST_REASONS).map(([text, count]) => `${count} ${text}`);
  const rest = sorted.slice(MOST_REASONS).reduce((sum, [, count]) => sum + count, 0);
  if (rest > 0) texts.push(`${rest} more: --json lists them`);
  return texts.flatMap((text, index) =>
    hang((index === 0 ? 'In float' : '').padEnd(10), text, width),
  );
}

/** A figure with decimals, such as the 7.3 of "holds the model to 7.3 dB". */
const FIGURE = /-?\d+\.\d+/;
const HOLE = '\0';

/** Reasons that differ in a figure only become one, which says from where to where it goes. */
function joined(counts: ReadonlyMap<string, number>): readonly (readonly [string, number])[] {
  const alike = new Map<string, { count: number; figures: readonly string[] }>();
  for (const [text, count] of counts) {
    const [figure] = FIGURE.exec(text) ?? [];
    const key = text.replace(FIGURE, HOLE);
    const before = alike.get(key) ?? { count: 0, figures: [] };
    const figures = figure === undefined ? before.figures : [...before.figures, figure];
    alike.set(key, { count: before.count + count, figures });
  }
  return [...alike].map(([key, { count, figures }]) => {
    const [low = '', high = low] = extremes(figures);
    return [key.replace(HOLE, low === high ? low : `${low}..${high}`), count];
  });
}

function extremes(figures: readonly string[]): readonly string[] {
  const sorted = figures.toSorted((a, b) => Number(a) - Number(b));
  return [...sorted.slice(0, 1), ...sorted.slice(-1)];
}
