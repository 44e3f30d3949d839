import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { messageOf } from '../../util/errors.ts';
import { makeFolder } from '../../util/files.ts';
import { RecordError } from './error.ts';
import { answerMessages, type ConversationOptions } from './conversation.ts';

export interface RecordServerOptions extends Omit<ConversationOptions, 'budget'> {
  /** Path of the socket. */
  readonly path: string;
}

export interface RecordServer {
  /** Ends every conversation. */
  readonly close: () => Promise<void>;
}

/** The owner and the group of the daemon may hand samples over. */
const SOCKET_MODE = 0o660;
const MAX_CONNECTIONS = 16;
/** Whoever was turned away and goes on sending, or says nothing, is closed after this. */
const BUSY_MS = 2000;
/** Of the largest samples in memory at once. */
const MAX_IN_FLIGHT = 4;
/** Of sockaddr_un (unix(7)), with the byte that ends it. */
const MAX_PATH_BYTES = 107;

/** Listens for samples. Throws RecordError when the socket cannot be made. */
export async function serveRecorder(options: RecordServerOptions): Promise<RecordServer> {
  const { path, maxSampleBytes } = options;
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    const message = `${path}: longer than ${MAX_PATH_BYTES} bytes: set calibration.socketFile`;
    throw new RecordError('FAILED', message);
  }
  const sockets = new Set<Socket>();
  const refused = new Set<Socket>();
  const budget = { left: MAX_IN_FLIGHT * maxSampleBytes };
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    if (sockets.size >= MAX_CONNECTIONS) {
      socket.on('error', () => undefined);
      const busy = { ok: false, code: 'BUSY', text: 'too many connections', model: null };
      // Whoever sends a large sample reads the answer only then.
      socket.resume();
      socket.end(`${JSON.stringify(busy)}\n`);
      // Not the timeout of the socket: whatever arrives would renew that.
      const timer = setTimeout(() => socket.destroy(), BUSY_MS);
      refused.add(socket);
      socket.on('close', () => {
        clearTimeout(timer);
        refused.delete(socket);
      });
      return;
    }
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    void answerMessages(socket, { ...options, budget });
  });
  try {
    await makeFolder(dirname(path));
    // Left by a daemon that was killed: the runtime folder belongs to this one.
    await rm(path, { force: true });
    await listen(server, path);
    await chmod(path, SOCKET_MODE);
  } catch (error) {
    server.close();
    const message = `cannot listen at ${path}: ${messageOf(error)}`;
    throw new RecordError('FAILED', message, { cause: error, kind: 'failure' });
  }
  return {
    close: async () => {
      const closed = new Promise((resolve) => {
        server.close(resolve);
      });
      for (const socket of [...sockets, ...refused]) socket.destroy();
      await closed;
    },
  };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
