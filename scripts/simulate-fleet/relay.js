// @ts-check
// A cable that can be pulled: a port of its own that leads to the broker.
import { connect, createServer } from 'node:net';

/**
 * @typedef {object} Relay
 * @property {number} port
 * @property {() => void} cut ends what goes through now; later connections stand
 * @property {() => void} close
 */

/** @param {number} brokerPort @returns {Promise<Relay>} */
export async function openRelay(brokerPort) {
  /** @type {Set<import('node:net').Socket>} */
  const open = new Set();
  const server = createServer((inward) => {
    const outward = connect(brokerPort, '127.0.0.1');
    for (const [socket, other] of [
      /** @type {const} */ ([inward, outward]),
      /** @type {const} */ ([outward, inward]),
    ]) {
      open.add(socket);
      socket.pipe(other);
      // Both ends go together, however one of them ended.
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        open.delete(socket);
        other.destroy();
      });
    }
  });
  await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(undefined));
  });
  const address = server.address();
  const cut = () => {
    for (const socket of open) socket.destroy();
  };
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    cut,
    close: () => {
      cut();
      server.close();
    },
  };
}
