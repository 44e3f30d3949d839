import { BenchError } from './errors.ts';

/** One tensor that a kernel read or wrote. */
export interface Operand {
  /** As onnxruntime's profile names it: `float`, `uint8`, ... */
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** One execution of one kernel. */
export interface Kernel {
  readonly op: string;
  readonly ms: number;
  /** Operands that are there: optional ones left out, and weights that were repacked, are missing. */
  readonly inputs: readonly Operand[];
  readonly outputs: readonly Operand[];
}

/** These run other kernels, which the profile lists as well. */
const CONTROL_FLOW: ReadonlySet<string> = new Set(['If', 'Loop', 'Scan', 'SequenceMap']);
const KERNEL_SUFFIX = '_kernel_time';

/** The kernels of the last run in an onnxruntime profile, in the order of their ends. */
export function readProfile(json: string): Kernel[] {
  const events = parse(json);
  const run = events.findLast((event) => event.cat === 'Session' && event.name === 'model_run');
  const start = run?.ts ?? 0;
  return events.flatMap((event) => {
    const { args } = event;
    if (event.cat !== 'Node' || !event.name.endsWith(KERNEL_SUFFIX) || event.ts < start) return [];
    const op = String(args['op_name']);
    if (CONTROL_FLOW.has(op)) return [];
    return [
      {
        op,
        ms: event.dur / 1000,
        inputs: operands(args['input_type_shape']),
        outputs: operands(args['output_type_shape']),
      },
    ];
  });
}

export interface KernelTime {
  readonly op: string;
  readonly ms: number;
}

/**
 * The shortest time of every kernel over all runs of a profile, in ms, by its name: the name of one of
 * the nodes that it stands for, often with something attached by the optimizer.
 */
export function readKernelTimes(json: string): Map<string, KernelTime> {
  const times = new Map<string, KernelTime>();
  for (const { cat, name, dur, args } of parse(json)) {
    if (cat !== 'Node' || !name.endsWith(KERNEL_SUFFIX)) continue;
    const op = String(args['op_name']);
    if (CONTROL_FLOW.has(op)) continue;
    const kernel = name.slice(0, -KERNEL_SUFFIX.length);
    times.set(kernel, { op, ms: Math.min(times.get(kernel)?.ms ?? Infinity, dur / 1000) });
  }
  return times;
}

interface Event {
  readonly cat: string;
  readonly name: string;
  /** Start and duration in microseconds. */
  readonly ts: number;
  readonly dur: number;
  readonly args: Readonly<Record<string, unknown>>;
}

function parse(json: string): Event[] {
  try {
    const value = parseJson(json);
    if (Array.isArray(value)) return value.filter(isEvent);
  } catch (cause) {
    throw new BenchError('BAD_PROFILE', 'the profile of onnxruntime is not JSON', { cause });
  }
  throw new BenchError('BAD_PROFILE', 'the profile of onnxruntime is not a list of events');
}

/** onnxruntime writes names of nodes as they are: quotes, tabs and all. */
function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // What still is no JSON then is reported by the caller.
    return JSON.parse(escapeNames(json));
  }
}

/** A name ends in front of the arguments, which stand last in every event. */
const NAMES = /(?<="name" :").*?(?=","args" : \{)/gs;

function escapeNames(json: string): string {
  return json.replace(NAMES, (name) => JSON.stringify(name).slice(1, -1));
}

function isEvent(value: unknown): value is Event {
  if (typeof value !== 'object' || value === null) return false;
  if (!('cat' in value && 'name' in value && 'ts' in value && 'dur' in value)) return false;
  const { cat, name, ts, dur } = value;
  const args = 'args' in value ? value.args : undefined;
  return (
    typeof cat === 'string' &&
    typeof name === 'string' &&
    typeof ts === 'number' &&
    typeof dur === 'number' &&
    typeof args === 'object' &&
    args !== null
  );
}

/** `[{"float":[1,3]},{"int8":[]}]`: one object with one key per tensor. */
function operands(value: unknown): Operand[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((item: unknown) => {
    const [entry] = typeof item === 'object' && item !== null ? Object.entries(item) : [];
    const [dtype, shape] = entry ?? [];
    if (dtype === undefined || !isShape(shape)) return [];
    return [{ dtype, shape }];
  });
}

function isShape(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => typeof size === 'number');
}
