import type { CompilerReport } from '../../contracts/pack.ts';

/*
 * What edgetpu_compiler prints, as far as it is of use (https://coral.ai/docs/edgetpu/compiler). With
 * `-s` it ends with a table: `CONV_2D   52   Mapped to Edge TPU`.
 */

export interface CompilerLog extends Omit<CompilerReport, 'seconds'> {
  /** Operators of the given file that the chip runs; null where the log does not say. */
  readonly mapped: number | null;
}

const MAPPED = 'Mapped to Edge TPU';
const UNITS: Readonly<Record<string, number>> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** Reads the log. What is missing is null; nothing is guessed. Pure. */
export function parseCompilerLog(text: string): CompilerLog {
  const rows = text.matchAll(/^([A-Z][A-Z0-9_]*)\s+(\d+)\s+(\S.*?)\s*$/gm);
  const operators = [...rows].map(([, op = '', count, status = '']) => ({
    op,
    count: Number(count),
    status,
  }));
  const said = /will run on Edge TPU:\s*(\d+)/.exec(text)?.[1];
  const listed = operators
    .filter(({ status }) => status.startsWith(MAPPED))
    .reduce((sum, { count }) => sum + count, 0);
  return {
    version: /Edge TPU Compiler version\s+(\S+)/.exec(text)?.[1] ?? null,
    onChipBytes: bytesAfter(text, 'On-chip memory used for caching model parameters'),
    offChipBytes: bytesAfter(text, 'Off-chip memory used for streaming uncached model parameters'),
    operators,
    mapped: said !== undefined ? Number(said) : operators.length > 0 ? listed : null,
  };
}

function bytesAfter(text: string, label: string): number | null {
  const at = text.indexOf(`${label}:`);
  if (at < 0) return null;
  const found = /^\s*([\d.]+)\s*([KMG]iB|B)/.exec(text.slice(at + label.length + 1));
  const unit = UNITS[found?.[2] ?? ''];
  return unit === undefined ? null : Math.round(Number(found?.[1]) * unit);
}

const MOST_LINES = 3;
const MAX_WORDS = 300;
/** Printed whatever happens. */
const BANNER =
  /^(Edge TPU Compiler version|Started a compilation timeout|Compilation child process)/;

/** The compiler's own words on what went wrong, on one line. */
export function compilerWords(text: string): string {
  const lines = text
    .split(/\r?\n/)
    .map((line) => line.replaceAll(/\p{Cc}/gu, ' ').trim())
    .filter((line) => line !== '' && !BANNER.test(line));
  const words = lines.slice(-MOST_LINES).join('; ');
  if (words === '') return 'it does not say why';
  return words.length > MAX_WORDS ? `${words.slice(0, MAX_WORDS)}...` : words;
}
