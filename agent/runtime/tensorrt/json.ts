import { z } from 'zod';
import { messageOf } from '../../util/errors.ts';
import { RuntimeFailure } from '../errors.ts';

/*
 * The JSON files that trtexec exports. It writes them by printing, so an infinite number or NaN stands
 * there as C++ prints it, which is no JSON.
 */

/** Larger than what a model's outputs take as text; a file beyond is not one of ours. */
export const MAX_JSON_BYTES = 512 * 1024 * 1024;

const latency = z.object({ latencyMs: z.number().nonnegative() });
const timesSchema = z.array(latency);

const profileEntry = z.object({
  name: z.string(),
  timeMs: z.number(),
  averageMs: z.number(),
  medianMs: z.number().optional(),
  percentage: z.number(),
});
const profileSchema = z.array(z.union([z.object({ count: z.number() }), profileEntry]));

/** NaN and infinity, as `quoteNumbers` leaves them. */
const value = z.union([z.number(), z.enum(['nan', 'inf', '-inf'])]);
const outputsSchema = z.array(
  z.object({ name: z.string(), dimensions: z.string(), values: z.array(value) }),
);

/** Latency of every inference in the order they were made: host to host, copies included, in ms. */
export function parseTimes(text: string): readonly number[] {
  return parse('--exportTimes', timesSchema, text).map(({ latencyMs }) => latencyMs);
}

export interface LayerTime {
  readonly name: string;
  readonly averageMs: number;
  /** Absent from versions before 8.4. */
  readonly medianMs: number | undefined;
  /** Share of all layers, 0 to 1. */
  readonly share: number;
}

/** Time of every layer, the slowest first. */
export function parseProfile(text: string): {
  readonly inferences: number | null;
  readonly layers: readonly LayerTime[];
} {
  const entries = parse('--exportProfile', profileSchema, text);
  const layers: LayerTime[] = [];
  let inferences: number | null = null;
  for (const entry of entries) {
    if ('count' in entry) inferences = entry.count;
    else {
      const { name, averageMs, medianMs, percentage } = entry;
      layers.push({ name, averageMs, medianMs, share: percentage / 100 });
    }
  }
  return { inferences, layers: layers.toSorted((a, b) => b.averageMs - a.averageMs) };
}

export interface ExportedOutput {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

const SPECIAL: Readonly<Record<string, number>> = { nan: NaN, inf: Infinity, '-inf': -Infinity };

/** The outputs of the last inference. Values have six significant digits: that is how they are printed. */
export function parseOutputs(text: string): readonly ExportedOutput[] {
  const outputs = parse('--exportOutput', outputsSchema, quoteNumbers(text));
  return outputs.map(({ name, dimensions, values }) => ({
    name,
    shape: parseDimensions(dimensions),
    values: values.map((one) => (typeof one === 'number' ? one : (SPECIAL[one] ?? NaN))),
  }));
}

/** Puts what C++ prints for NaN and infinity into quotes; what is in quotes stays. */
function quoteNumbers(text: string): string {
  return text.replace(
    /"(?:[^"\\]|\\.)*"|(-?)\b(nan|inf)\b(?:\([^)]*\))?/gi,
    (match: string, sign: string | undefined, word: string | undefined) => {
      if (word === undefined) return match;
      const name = word.toLowerCase();
      return `"${name === 'nan' ? '' : (sign ?? '')}${name}"`;
    },
  );
}

function parseDimensions(text: string): readonly number[] {
  return text === '' ? [] : text.split('x').map(Number);
}

function parse<T>(option: string, schema: z.ZodType<T>, text: string): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw unreadable(option, messageOf(error), error);
  }
  const checked = schema.safeParse(json);
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  throw unreadable(
    option,
    `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`,
    checked.error,
  );
}

function unreadable(option: string, why: string, cause: unknown): RuntimeFailure {
  const message = `what trtexec ${option} wrote cannot be read: ${why}`;
  return new RuntimeFailure('RUN_FAILED', message, { cause });
}
