import { setFlagsFromString } from 'node:v8';

/**
 * Tells V8 to prefer memory to speed. While everything is loaded its nursery would grow to sizes
 * that an idle daemon never needs and that are not given back. Call it before loading the rest.
 */
export function favorMemory(): void {
  setFlagsFromString('--optimize-for-size');
  // The C library has read it when this process began (systemd/edgefit.service); children, which compute
  // with many threads, would only be slowed down.
  delete process.env['MALLOC_ARENA_MAX'];
}
