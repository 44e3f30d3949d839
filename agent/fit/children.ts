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

/** Runs something in a child process of its own, which is gone afterwards. */
export async function inChild<T>({ use, ...options }: ChildUse<T>): Promise<T> {
  const worker = await openChild(options);
  try {
    return await use(worker);
  } finally {
    largestChild = Math.max(largestChild, worker.peakRssBytes() ?? 0);
    await worker.close();
  }
}

/** A child that stays: the caller closes it. */
export function openChild({ name, signal, scratch }: ChildOptions): Promise<FitWorker> {
  const env = { TMPDIR: scratch.folder };
  return startWorker<typeof handlers>('fit/worker', { name, signal, env });
}
