import type { ChildProcess } from 'node:child_process';
import { messageOf } from '../util/errors.ts';
import { type ForkOptions, forkChild, peakRssOf } from './children.ts';
import { Tail, crashFailure } from './crash.ts';
import { RuntimeFailure, fromRecord } from './errors.ts';
import type { Handlers, Reply, Request, UntypedHandlers } from './protocol.ts';

export interface WorkerOptions extends ForkOptions {
  /** How messages call this worker, e.g. `benchmark of int8-static`. */
  readonly name: string;
  /** Ends the child: what it has started itself gets a moment to be ended, too. */
  readonly signal?: AbortSignal;
}

export interface CallOptions {
  /** The child is killed when it says nothing for this long: no result and no progress. */
  readonly timeoutMs?: number;
  readonly onProgress?: (value: unknown) => void;
}

/** A child process with methods. */
export interface Worker<H extends Handlers = UntypedHandlers> {
  readonly pid: number;
  /**
   * Calls one of the module's handlers. Rejects with what the handler threw (same message and code),
   * or with a RuntimeFailure when the child crashed, hung or was closed.
   */
  call<M extends keyof H & string>(
    method: M,
    args: Parameters<H[M]>[0],
    options?: CallOptions,
  ): Promise<Awaited<ReturnType<H[M]>>>;
  /** What messages call it from now on: a child may serve one thing after the other. */
  rename(name: string): void;
  /** Whether calls can still be made. */
  isAlive(): boolean;
  /** Largest resident memory so far, also after the end; undefined where the system does not say. */
  peakRssBytes(): number | undefined;
  /** Ends the child: asks first, then kills. Calls under way reject with `ABORTED`. */
  close(): Promise<void>;
}

interface Pending {
  readonly method: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly onProgress: ((value: unknown) => void) | undefined;
  readonly timer: NodeJS.Timeout | undefined;
}

/** Importing a module takes seconds on the slowest boards. */
const START_TIMEOUT_MS = 60_000;
const CLOSE_GRACE_MS = 2000;
/** For a child that must end now but may have children of its own. */
const ABORT_GRACE_MS = 150;
/** How long to wait for the rest of stderr once the child has exited. */
const DRAIN_MS = 200;

/**
 * Starts a child process that serves the `handlers` of a module: a name such as `fit/worker`, or the
 * absolute path or `file:` URL of a JavaScript file. Resolves once the module has been imported.
 */
export async function startWorker<H extends Handlers = UntypedHandlers>(
  module: string,
  options: WorkerOptions,
): Promise<Worker<H>> {
  if (options.signal?.aborted === true) throw aborted(options.name);
  const worker = new ChildWorker<H>(options.name, forkChild(module, options));
  const abort = () => worker.abort();
  options.signal?.addEventListener('abort', abort, { once: true });
  void worker.ended.then(() => options.signal?.removeEventListener('abort', abort));
  await worker.ready(START_TIMEOUT_MS);
  return worker;
}

function aborted(name: string): RuntimeFailure {
  return new RuntimeFailure('ABORTED', `${name} was aborted`);
}

class ChildWorker<H extends Handlers> implements Worker<H> {
  #name: string;
  readonly #child: ChildProcess;
  readonly #stderr = new Tail();
  readonly #calls = new Map<number, Pending>();
  #lastId = 0;
  #peakRss: number | undefined;
  /** Why the child is no longer of use; set once. */
  #failure: RuntimeFailure | undefined;
  readonly #started: Promise<void>;
  /** Resolves when the child is gone and every call has been answered. */
  readonly ended: Promise<void>;

  constructor(name: string, child: ChildProcess) {
    this.#name = name;
    this.#child = child;
    child.stderr?.on('data', (chunk: Buffer) => this.#stderr.add(chunk));
    this.#started = new Promise((resolve, reject) => {
      this.#calls.set(0, {
        method: 'start',
        resolve: () => resolve(),
        reject,
        onProgress: undefined,
        timer: undefined,
      });
    });
    // Whoever awaits `ready` sees the failure; before that nobody may be listening.
    this.#started.catch(() => undefined);
    child.on('message', (reply: Reply) => this.#receive(reply));
    this.ended = new Promise((resolve) => {
      child.once('error', (error) => {
        this.#settle(this.#startFailure(messageOf(error), error));
        if (child.pid === undefined) resolve();
      });
      child.once('exit', (code, signal) => {
        void this.#drained().then(() => {
          this.#settle(
            this.#failure ?? crashFailure(this.#name, { code, signal }, this.#stderr.toString()),
          );
          resolve();
        });
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  rename(name: string): void {
    this.#name = name;
  }

  isAlive(): boolean {
    return this.#failure === undefined;
  }

  async ready(timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => {
      this.end(this.#startFailure(`no answer within ${timeoutMs / 1000} s`));
    }, timeoutMs);
    try {
      await this.#started;
    } finally {
      clearTimeout(timer);
    }
  }

  call<M extends keyof H & string>(
    method: M,
    args: Parameters<H[M]>[0],
    options?: CallOptions,
  ): Promise<Awaited<ReturnType<H[M]>>>;
  async call(method: string, args: unknown, options: CallOptions = {}): Promise<unknown> {
    if (this.#failure) throw this.#failure;
    const id = ++this.#lastId;
    const { timeoutMs, onProgress } = options;
    return new Promise((resolve, reject) => {
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => this.end(this.#hung(method, timeoutMs)), timeoutMs);
      this.#calls.set(id, { method, resolve, reject, onProgress, timer });
      try {
        this.#send({ type: 'call', id, method, args });
      } catch (error) {
        this.#take(id)?.reject(this.#startFailure(`cannot call ${method}: ${messageOf(error)}`));
      }
    });
  }

  peakRssBytes(): number | undefined {
    const now = this.#child.pid === undefined ? undefined : peakRssOf(this.#child.pid);
    this.#peakRss = Math.max(this.#peakRss ?? 0, now ?? 0) || undefined;
    return this.#peakRss;
  }

  async close(): Promise<void> {
    if (!this.#failure) {
      this.stop(new RuntimeFailure('ABORTED', `${this.#name} was closed`), CLOSE_GRACE_MS);
    }
    await this.ended;
  }

  abort(): void {
    this.stop(aborted(this.#name));
  }

  /** Asks the child to end and kills it when it does not; calls reject with this failure at once. */
  stop(failure: RuntimeFailure, graceMs = ABORT_GRACE_MS): void {
    this.peakRssBytes();
    this.#settle(failure);
    this.#send({ type: 'close' });
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), graceMs);
    void this.ended.then(() => clearTimeout(timer));
  }

  /** Kills the child; calls under way, and later ones, reject with this failure. */
  end(failure: RuntimeFailure): void {
    this.peakRssBytes();
    this.#settle(failure);
    this.#child.kill('SIGKILL');
  }

  #receive(reply: Reply): void {
    switch (reply.type) {
      case 'ready':
        this.#take(0)?.resolve(undefined);
        break;
      case 'refused':
        this.end(this.#startFailure(reply.error.message, fromRecord(reply.error)));
        break;
      case 'progress':
        this.#calls.get(reply.id)?.timer?.refresh();
        this.#calls.get(reply.id)?.onProgress?.(reply.value);
        break;
      case 'result':
        this.peakRssBytes();
        this.#take(reply.id)?.resolve(reply.value);
        break;
      case 'error':
        this.peakRssBytes();
        this.#take(reply.id)?.reject(fromRecord(reply.error));
        break;
    }
  }

  #send(request: Request): void {
    // A channel that is closed means that the child is gone: 'exit' tells how.
    this.#child.send(request, () => undefined);
  }

  #take(id: number): Pending | undefined {
    const pending = this.#calls.get(id);
    this.#calls.delete(id);
    clearTimeout(pending?.timer);
    return pending;
  }

  #settle(failure: RuntimeFailure): void {
    this.#failure ??= failure;
    for (const id of this.#calls.keys()) this.#take(id)?.reject(this.#failure);
  }

  #startFailure(why: string, cause?: unknown): RuntimeFailure {
    return new RuntimeFailure('START_FAILED', `${this.#name} did not start: ${why}`, { cause });
  }

  #hung(method: string, timeoutMs: number): RuntimeFailure {
    const message = `${this.#name} did not finish ${method} within ${timeoutMs / 1000} s and was killed`;
    return new RuntimeFailure('HUNG', message);
  }

  #drained(): Promise<void> {
    const { stderr } = this.#child;
    if (!stderr || stderr.closed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, DRAIN_MS);
      stderr.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
