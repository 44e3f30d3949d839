import { isIPv6 } from 'node:net';

/** Of 16 bits each: the first half of an IPv6 address names the network, the rest is the host's choice. */
const GROUPS = 8;
const OF_NETWORK = 4;

/** An IPv4 address that a socket of both versions shows as IPv6. */
export const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/**
 * Whom an address stands for where attempts are counted: itself, or of IPv6 its /64, within which one
 * machine may take any address it likes.
 */
export function networkOf(address: string): string {
  const mapped = MAPPED.exec(address)?.[1];
  if (mapped !== undefined || !isIPv6(address)) return mapped ?? address;
  const [head = [], tail = []] = address.split('::').map(groupsOf);
  const zeros = Array.from<string>({ length: GROUPS - head.length - tail.length }).fill('0');
  return `${[...head, ...zeros, ...tail].slice(0, OF_NETWORK).join(':')}::/64`;
}

/** In one writing: without zeros in front. */
const groupsOf = (part: string): string[] =>
  part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16).toString(16));
