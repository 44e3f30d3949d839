import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { builtModule } from '../util/paths.ts';

/*
 * No child may outlive the agent. Four nets, from the common to the rare: a child ends when its
 * channel to the parent closes; the parent kills its children when it exits or is told to stop; the
 * kernel kills them when the parent is killed (setpriv); a watching thread does, where there is no
 * setpriv. The last two are for children that are deep in native code and deaf to their channel.
 */

const children = new Set<ChildProcess>();
// Not SIGHUP: listening would undo nohup, and a closed terminal closes the channels anyway.
const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const;
let watching = false;

export interface ForkOptions {
  /** Added to the agent's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Limit of the JavaScript heap (native memory is not counted). */
  readonly maxHeapMegabytes?: number;
}

/** Starts `worker-main` on a module: a built module's name, an absolute path or a `file:` URL. */
export function forkChild(module: string, { env, maxHeapMegabytes }: ForkOptions): ChildProcess {
  const setpriv = hasSetpriv();
  const heap = maxHeapMegabytes === undefined ? [] : [`--max-old-space-size=${maxHeapMegabytes}`];
  const child = fork(
    builtModule('runtime/worker-main'),
    [moduleUrl(module), ...(setpriv ? [] : ['watch'])],
    {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: { ...process.env, ...env },
      ...(setpriv
        ? {
            execPath: 'setpriv',
            execArgv: ['--pdeathsig', 'KILL', process.execPath, ...heap],
          }
        : { execArgv: heap }),
    },
  );
  keepTrack(child);
  return child;
}

function moduleUrl(module: string): string {
  if (module.startsWith('file:')) return module;
  return pathToFileURL(isAbsolute(module) ? module : builtModule(module)).href;
}

/** A command line that the kernel ends with this process, where it can be told to. */
export function guarded(program: string): readonly [string, ...string[]] {
  return hasSetpriv() ? ['setpriv', '--pdeathsig', 'KILL', program] : [program];
}

/** Remembers a child until it has exited, and kills it when this process ends before that. */
export function keepTrack(child: ChildProcess): void {
  children.add(child);
  child.once('exit', () => children.delete(child));
  if (watching) return;
  watching = true;
  process.once('exit', killAll);
  for (const signal of STOP_SIGNALS) process.once(signal, () => stop(signal));
}

function killAll(): void {
  for (const child of children) child.kill('SIGKILL');
}

/** Where somebody else listens, it is theirs to say what ends, and when. */
function stop(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 0) return;
  killAll();
  // Listening took away the signal's default effect; give it back.
  process.kill(process.pid, signal);
}

let available: boolean | undefined;

/** Whether `setpriv --pdeathsig` works here: then the kernel kills a child with its parent. */
function hasSetpriv(): boolean {
  available ??= spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true']).status === 0;
  return available;
}

/** High-water mark of a process's resident memory; undefined when it cannot be read. */
export function peakRssOf(pid: number): number | undefined {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    // The process is gone, or this is not Linux.
    return undefined;
  }
}
