import { startWorker } from '../runtime/worker.ts';
import type { Worker } from '../runtime/worker.ts';
import type { Scratch } from './scratch.ts';
import type { handlers } from './worker.ts';

export type FitWorker = Worker<typeof handlers>;

/** Loading a large model from a slow card. */
export const LOAD_TIMEOUT_MS = 300_000;
/** The slowest single sample that is not taken for a hang. */
export const SAMPLE_TIMEOUT_MS = 60_000;

export interface ChildOptions {
  readonly name: string;
  readonly signal: AbortSignal;
  /** Takes the child's temporary files: a child that is killed cannot remove them. */
  readonly scratch: Scratch;
}

export interface ChildUse<T> extends ChildOptions {
  readonly use: (worker: FitWorker) => Promise<T>;
}

let largestChild = 0;

/** The largest resident memory of any child so far: like the agent's own, a high-water mark. */
export function largestChildRssBytes(): number {
  return largestChild;
}

/** A child that serves one piece of work after the other; by the scratch folder of its run. */
interface Shared {
  /** Started and without work. */
  idle: Promise<FitWorker> | undefined;
}

const shared = new WeakMap<Scratch, Shared>();

/**
 * How the C library (glibc; others pass over it) gets memory for activations: from one heap that keeps
 * what was freed. Left to itself it would have the kernel hand out and clear the same pages again for
 * every large tensor, which costs a third of the time of a calibration run. The peak stays the same.
 */
const KEEP_FREED_MEMORY = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_MAX_: '0',
  MALLOC_TRIM_THRESHOLD_: String(2 ** 30),
};

/**
 * From now on `inChild` with this scratch folder goes on in the same child, which is started at once:
 * starting one costs more than most of what it does. A child that crashed or hung is replaced for
 * the next piece of work. Returns what ends it.
 */
export function shareChild(signal: AbortSignal, scratch: Scratch): () => Promise<void> {
  const name = 'the working process';
  const idle = openWith({ name, signal, scratch }, KEEP_FREED_MEMORY);
  const entry: Shared = { idle };
  shared.set(scratch, entry);
  // Whoever takes it sees the failure.
  idle.catch(() => undefined);
  return async () => {
    shared.delete(scratch);
    const worker = await entry.idle?.catch(() => undefined);
    if (worker !== undefined) await end(worker);
  };
}

/** Runs something in a child process: one of its own, which is gone afterwards, or the shared one. */
export async function inChild<T>({ use, ...options }: ChildUse<T>): Promise<T> {
  const entry = shared.get(options.scratch);
  const worker = await take(entry, options);
  try {
    return await use(worker);
  } finally {
    if (entry === undefined || entry.idle !== undefined || !worker.isAlive()) await end(worker);
    else entry.idle = Promise.resolve(worker);
  }
}

async function take(entry: Shared | undefined, options: ChildOptions): Promise<FitWorker> {
  const idle = entry?.idle;
  if (entry === undefined || idle === undefined) return openChild(options);
  entry.idle = undefined;
  const worker = await idle;
  // It may have died while nobody needed it.
  if (!worker.isAlive()) return openChild(options);
  worker.rename(options.name);
  return worker;
}

async function end(worker: FitWorker): Promise<void> {
  largestChild = Math.max(largestChild, worker.peakRssBytes() ?? 0);
  await worker.close();
}

/** A child that stays: the caller closes it. */
export function openChild(options: ChildOptions): Promise<FitWorker> {
  return openWith(options, {});
}

function openWith(
  { name, signal, scratch }: ChildOptions,
  settings: Readonly<Record<string, string>>,
): Promise<FitWorker> {
  const env = { ...settings, TMPDIR: scratch.folder };
  return startWorker<typeof handlers>('fit/worker', { name, signal, env });
}
