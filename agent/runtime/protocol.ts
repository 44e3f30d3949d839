import type { ErrorRecord } from './errors.ts';

/** Parent to child. */
export type Request =
  | { readonly type: 'call'; readonly id: number; readonly method: string; readonly args: unknown }
  | { readonly type: 'close' };

/** Child to parent. */
export type Reply =
  | { readonly type: 'ready' }
  | { readonly type: 'refused'; readonly error: ErrorRecord }
  | { readonly type: 'progress'; readonly id: number; readonly value: unknown }
  | { readonly type: 'result'; readonly id: number; readonly value: unknown }
  | { readonly type: 'error'; readonly id: number; readonly error: ErrorRecord };

/** What a handler gets besides its arguments. */
export interface WorkerContext {
  /** Sends an intermediate value to the caller. */
  progress(value: unknown): void;
  /** Aborted when the worker is being closed. */
  readonly signal: AbortSignal;
}

/** A worker module exports one of these as `handlers`. Arguments and results are structured clones. */
export type Handlers = Readonly<
  Record<string, (args: never, context: WorkerContext) => Promise<unknown>>
>;
/** Handlers of which the caller knows nothing. */
export type UntypedHandlers = Readonly<
  Record<string, (args: unknown, context: WorkerContext) => Promise<unknown>>
>;
