import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { AgentError, codeOf } from '../util/errors.ts';

/** The daemon cannot run here and now; the configuration is not to blame. */
export class DaemonError extends AgentError {
  override readonly name = 'DaemonError';

  constructor(code: 'ALREADY_RUNS', message: string) {
    super(code, message, { kind: 'failure' });
  }
}

/**
 * Sees to it that one daemon works on a state folder: two would take the broker from each other and write
 * over each other's files. A socket in the abstract namespace (unix(7)) is the lock: the kernel gives it
 * to one, and takes it back however that one ends, so nothing stale is left. Throws DaemonError; resolves
 * to what gives it back.
 */
export async function lockFolder(folder: string): Promise<() => void> {
  const { dev, ino } = await stat(folder);
  const name = createHash('sha256').update(`${dev}:${ino}`).digest('hex').slice(0, 32);
  const server = createServer((socket) => socket.destroy());
  server.unref();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ path: `\0edgefit-${name}` }, resolve);
    });
  } catch (error) {
    if (codeOf(error) !== 'EADDRINUSE') throw error;
    const message = `another daemon runs with the state folder ${folder}: stop it first, or give this one another stateDir`;
    throw new DaemonError('ALREADY_RUNS', message);
  }
  return () => {
    server.close();
  };
}
