import { writeFileSync } from 'node:fs';
import { Worker as Thread } from 'node:worker_threads';
import { RuntimeFailure, toRecord } from './errors.ts';
import type { Reply, Request, UntypedHandlers } from './protocol.ts';

/*
 * The program that every child process runs: imports the module named on the command line and calls
 * its handlers. Arguments: the module's URL, then `watch` where nothing else ends an orphan.
 */

const OOM_SCORE_ADJUSTMENT = '800';
const WATCH_INTERVAL_MS = 500;
/** Below this the thread does not even start. */
const WATCH_LIMITS = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 };

const [, , moduleUrl = '', watch] = process.argv;
const closing = new AbortController();

// When memory runs out, the kernel shall take this process and not the agent.
try {
  writeFileSync('/proc/self/oom_score_adj', OOM_SCORE_ADJUSTMENT);
} catch {
  // Best effort: not Linux, or not allowed in this container.
}
// Ctrl-C and service managers signal the whole group; whether to stop is the parent's decision.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.on('disconnect', () => process.exit(0));
if (watch === 'watch') watchParent();

const handlers = await importHandlers();
if (handlers) {
  process.on('message', (request: Request) => {
    if (request.type === 'close') close();
    else void answer(handlers, request);
  });
  send({ type: 'ready' });
}

async function importHandlers(): Promise<UntypedHandlers | undefined> {
  try {
    const module: unknown = await import(moduleUrl);
    if (hasHandlers(module)) return module.handlers;
    throw new Error('it exports no handlers');
  } catch (error) {
    send({ type: 'refused', error: toRecord(error) });
    return undefined;
  }
}

/** Shallow on purpose: the module is our own, and its name was given by our own code. */
function hasHandlers(module: unknown): module is { readonly handlers: UntypedHandlers } {
  if (typeof module !== 'object' || module === null || !('handlers' in module)) return false;
  return typeof module.handlers === 'object' && module.handlers !== null;
}

async function answer(
  table: UntypedHandlers,
  { id, method, args }: Extract<Request, { type: 'call' }>,
): Promise<void> {
  try {
    const handler = Object.hasOwn(table, method) ? table[method] : undefined;
    if (!handler) throw new RuntimeFailure('START_FAILED', `worker has no method '${method}'`);
    const value = await handler(args, {
      progress: (progress) => send({ type: 'progress', id, value: progress }),
      signal: closing.signal,
    });
    send({ type: 'result', id, value });
  } catch (error) {
    send({ type: 'error', id, error: toRecord(error) });
  }
}

function send(reply: Reply): void {
  // The parent may be gone already; then 'disconnect' ends this process.
  process.send?.(reply, undefined, {}, () => undefined);
}

function close(): void {
  closing.abort();
  process.exit(0);
}

/** A thread, because the main one may be stuck in native code. */
function watchParent(): void {
  const code = `const { workerData } = require('node:worker_threads');
    setInterval(() => {
      if (process.ppid !== workerData) process.kill(process.pid, 'SIGKILL');
    }, ${WATCH_INTERVAL_MS});`;
  new Thread(code, {
    eval: true,
    workerData: process.ppid,
    resourceLimits: WATCH_LIMITS,
  }).unref();
}
