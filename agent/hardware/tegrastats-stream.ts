import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { parseTegrastats, type Tegrastats } from './tegrastats.ts';
import type { Tree } from './tree.ts';
import { findTool } from './vcgencmd.ts';

export const TEGRASTATS: readonly string[] = ['/usr/bin/tegrastats', '/home/nvidia/tegrastats'];
export const TEGRASTATS_EVERY_MS = 500;
/** The first line comes after one interval. */
const FIRST_LINE_MS = 3000;

/** A running tegrastats. */
export interface TegrastatsStream {
  readonly tool: string;
  /** The newest line and when it came (`performance.now`); null once the tool has ended. */
  last(): { readonly line: Tegrastats; readonly atMs: number } | null;
  close(): void;
}

/** Starts the tool and waits for its first line; null where there is none or it says nothing useful. */
export async function startTegrastats(
  tree: Tree,
  tools: readonly string[] = TEGRASTATS,
): Promise<TegrastatsStream | null> {
  const tool = await findTool(tree, tools);
  if (tool === undefined) return null;
  const args = ['--interval', String(TEGRASTATS_EVERY_MS)];
  const child = spawn(tool, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  let newest: ReturnType<TegrastatsStream['last']> = null;
  const first = new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), FIRST_LINE_MS);
    const done = (there: boolean) => {
      clearTimeout(timer);
      resolve(there);
    };
    const ended = () => {
      newest = null;
      done(false);
    };
    child.once('error', ended);
    child.once('exit', ended);
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = parsed(line);
      if (found === null) return;
      newest = { line: found, atMs: performance.now() };
      done(true);
    });
  });
  const close = () => {
    child.kill('SIGKILL');
  };
  if (await first) return { tool, last: () => newest, close };
  close();
  return null;
}

function parsed(line: string): Tegrastats | null {
  try {
    return parseTegrastats(line);
  } catch {
    // A warning between the lines.
    return null;
  }
}
