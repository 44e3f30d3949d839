import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** What a program of the running system prints. Throws when it is missing, fails or takes too long. */
export async function askTool(
  program: string,
  args: readonly string[],
  timeoutMs: number,
): Promise<string> {
  // Killed at once: a tool that hangs in its driver does not listen to anything gentler.
  const limits = { timeout: timeoutMs, killSignal: 'SIGKILL' } as const;
  const { stdout } = await promisify(execFile)(program, args, limits);
  return stdout;
}
