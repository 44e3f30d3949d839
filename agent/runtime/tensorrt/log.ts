import { versionOfBanner, type TensorRtVersion } from './version.ts';

/*
 * What trtexec writes, from 8.0 to 10.x: lines such as
 * `[08/31/2023-07:07:55] [I] [TRT] text`, and three without a prefix that start with `&&&&`.
 */

/** Times over all inferences of one block of the summary, in milliseconds. */
export interface LatencyBlock {
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly median: number | null;
  /** Percentile (99) -> value; 8.0 to 8.2 print one, later versions a list. */
  readonly percentiles: ReadonlyMap<number, number>;
}

export interface TrtexecSummary {
  readonly throughputPerSecond: number | null;
  /** By the text in front of the colon: `Latency`, `GPU Compute Time`, `H2D Latency`, ... */
  readonly blocks: ReadonlyMap<string, LatencyBlock>;
}

export interface Binding {
  readonly direction: 'input' | 'output';
  readonly name: string;
  readonly shape: readonly number[];
}

export interface TrtexecLog {
  readonly version: TensorRtVersion | null;
  /** The last word of `&&&&`; null where the program ended before it could say. */
  readonly status: 'passed' | 'failed' | null;
  /** `Orin`, `NVIDIA Tegra X1` */
  readonly device: string | null;
  readonly computeCapability: string | null;
  readonly buildSeconds: number | null;
  readonly loadSeconds: number | null;
  /** From the first inference that counts to the last. */
  readonly traceSeconds: number | null;
  readonly bindings: readonly Binding[];
  /** What the builder gave to each processor; empty where it did not say. */
  readonly placed: { readonly dla: number; readonly gpu: number };
  readonly summary: TrtexecSummary;
  readonly warnings: readonly string[];
  readonly errors: readonly string[];
}

export interface LogLine {
  readonly level: 'I' | 'W' | 'E' | 'V' | null;
  readonly text: string;
}

/** Of warnings and errors; a model with an unsupported op repeats itself for every node. */
const MOST_MESSAGES = 200;
const MOST_BINDINGS = 1000;
const LONGEST_LINE = 4000;

/** Two lines may have been written into one: only what follows the last prefix is read. */
const PREFIX = /^(?:\[\d\d\/\d\d\/\d{4}-\d\d:\d\d:\d\d\] *)+/;
const LEVEL = /^\[([IWEV])\] ?/;

/** One line without its time; `level` is null where it has none. */
export function parseLine(line: string): LogLine {
  const plain = line.slice(0, LONGEST_LINE).replace(PREFIX, '');
  const found = LEVEL.exec(plain)?.[1];
  const level = found === 'I' || found === 'W' || found === 'E' || found === 'V' ? found : null;
  const text = plain.replace(LEVEL, '').replace(/^\[TRT\] ?/, '');
  return { level, text: text.trimEnd() };
}

/** Reads the whole output of one run. Lines that are not known are passed over. */
export function parseLog(text: string): TrtexecLog {
  const reading = new LogReader();
  for (const line of text.split(/\r?\n/)) reading.add(line);
  return reading.result();
}

/** The same line by line, so that output of any length takes little memory. */
export class LogReader {
  private version: TensorRtVersion | null = null;
  private status: TrtexecLog['status'] = null;
  private device: string | null = null;
  private computeCapability: string | null = null;
  private buildSeconds: number | null = null;
  private loadSeconds: number | null = null;
  private traceSeconds: number | null = null;
  private throughputPerSecond: number | null = null;
  private readonly bindings: Binding[] = [];
  private readonly placed = { dla: 0, gpu: 0 };
  private readonly blocks = new Map<string, LatencyBlock>();
  private readonly warnings: string[] = [];
  private readonly errors: string[] = [];

  add(line: string): void {
    const banner = /^&&&& (RUNNING|PASSED|FAILED|WAIVED) /.exec(line)?.[1];
    if (banner !== undefined) return this.addBanner(banner, line);
    const { level, text } = parseLine(line);
    const list = level === 'W' ? this.warnings : level === 'E' ? this.errors : undefined;
    if (list !== undefined && list.length < MOST_MESSAGES && text !== '') list.push(text);
    if (level !== 'E') this.addFact(text);
  }

  private addBanner(word: string, line: string): void {
    this.version ??= versionOfBanner(line) ?? null;
    if (word === 'PASSED') this.status = 'passed';
    if (word === 'FAILED') this.status = 'failed';
  }

  private addFact(text: string): void {
    this.device = after(text, 'Selected Device: ') ?? this.device;
    this.computeCapability = after(text, 'Compute Capability: ') ?? this.computeCapability;
    this.buildSeconds = figure(text, /^Engine built in ([\d.e+-]+) sec/) ?? this.buildSeconds;
    this.loadSeconds =
      figure(text, /^Engine (?:loaded|deserialized) in ([\d.e+-]+) sec/) ?? this.loadSeconds;
    this.traceSeconds =
      figure(text, /^Timing trace has \d+ queries over ([\d.e+-]+) s/) ?? this.traceSeconds;
    this.throughputPerSecond =
      figure(text, /^Throughput: ([\d.e+-]+) qps/) ?? this.throughputPerSecond;
    if (text.startsWith('[DlaLayer]')) this.placed.dla++;
    if (text.startsWith('[GpuLayer]')) this.placed.gpu++;
    const binding = parseBinding(text);
    if (binding !== undefined && this.bindings.length < MOST_BINDINGS) this.bindings.push(binding);
    const block = parseBlock(text);
    if (block !== undefined) this.blocks.set(block.name, block.block);
  }

  result(): TrtexecLog {
    const { version, status, device, computeCapability } = this;
    const { buildSeconds, loadSeconds, traceSeconds } = this;
    const { bindings, placed, throughputPerSecond, blocks, warnings, errors } = this;
    const summary = { throughputPerSecond, blocks };
    const facts = { version, status, device, computeCapability };
    const times = { buildSeconds, loadSeconds, traceSeconds };
    return { ...facts, ...times, bindings, placed, summary, warnings, errors };
  }
}

function after(text: string, start: string): string | null {
  return text.startsWith(start) ? text.slice(start.length).trim() : null;
}

function figure(text: string, pattern: RegExp): number | null {
  return number(pattern.exec(text)?.[1]);
}

function number(text: string | undefined): number | null {
  const value = text === undefined || text === '' ? NaN : Number(text);
  return Number.isFinite(value) ? value : null;
}

/** `Created input binding for images:0 with dimensions 1x320x320x3` */
function parseBinding(text: string): Binding | undefined {
  const found = /^Created (input|output) binding for (.*) with dimensions ?([\dx]*)$/.exec(text);
  const [, direction, name = '', dims = ''] = found ?? [];
  if (direction !== 'input' && direction !== 'output') return undefined;
  return { direction, name, shape: dims === '' ? [] : dims.split('x').map(Number) };
}

/** `Latency: min = 40.5 ms, max = ..., mean = ..., median = ..., percentile(99%) = 40.8591 ms` */
function parseBlock(text: string): { name: string; block: LatencyBlock } | undefined {
  const [, name, rest = ''] = /^([A-Z][\w -]*): (min = .*)$/.exec(text) ?? [];
  if (name === undefined) return undefined;
  const values = new Map<string, number>();
  const percentiles = new Map<number, number>();
  for (const part of rest.split(', ')) {
    const [, key = '', share, printed] =
      /^(\w+)(?:\(([\d.]+)%\))? = ([\d.e+-]+)(?: ms)?/.exec(part) ?? [];
    const value = number(printed);
    if (value === null) continue;
    if (share === undefined) values.set(key, value);
    else percentiles.set(Number(share), value);
  }
  const [min, max, mean] = ['min', 'max', 'mean'].map((key) => values.get(key));
  if (min === undefined || max === undefined || mean === undefined) return undefined;
  return { name, block: { min, max, mean, median: values.get('median') ?? null, percentiles } };
}
