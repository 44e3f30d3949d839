import { setFlagsFromString } from 'node:v8';

/**
 * Tells V8 to prefer memory to speed. While everything is loaded its nursery would grow to sizes
 * that an idle daemon never needs and that are not given back. Call it before loading the rest.
 */
export function favorMemory(): void {
  setFlagsFromString('--optimize-for-size');
}
