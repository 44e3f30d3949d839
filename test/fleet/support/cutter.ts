import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { listen } from './harness.ts';

export interface Cutter {
  readonly port: number;
  /** Ends every connection without a word, as a lost link does. */
  readonly cut: () => void;
}

/** A way to the broker that can be cut. */
export async function cutter(brokerPort: number): Promise<Cutter> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    const onward = connect(brokerPort, '127.0.0.1');
    for (const one of [socket, onward]) {
      open.add(one);
      one.on('error', () => undefined);
      one.on('close', () => {
        open.delete(one);
        socket.destroy();
        onward.destroy();
      });
    }
    socket.pipe(onward);
    onward.pipe(socket);
  });
  const port = await listen(server);
  return {
    port,
    cut: () => {
      for (const socket of open) socket.destroy();
    },
  };
}
