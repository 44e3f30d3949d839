import { nonsense } from './error.ts';
import { readFact, type Reading } from './facts-log.ts';

const NET_DEV = '/proc/net/dev';
/** Loops, bridges and the ends of containers and tunnels: what they carry is counted elsewhere, too. */
const VIRTUAL = /^(lo|veth.*|docker.*|br-.*|virbr.*|cni.*|flannel.*|tun\d*|tap\d*|wg\d*|dummy.*)$/;

export interface NetworkBytes {
  readonly received: number;
  readonly sent: number;
}

/** What the network devices of a machine have carried since it started; null where nothing tells. */
export function readNetwork(reading: Reading): Promise<NetworkBytes | null> {
  return readFact(reading, 'network', NET_DEV, parseNetDev, { optional: true });
}

/** One line a device: 8 columns of what came in (bytes first), 8 of what went out. */
export function parseNetDev(text: string): NetworkBytes {
  const [head = '', , ...lines] = text.trimEnd().split('\n');
  if (!head.includes('Receive')) throw nonsense('a table of network devices', text);
  const sum = { received: 0, sent: 0 };
  for (const line of lines) {
    const [, name = '', columns = ''] = /^\s*([^:\s]+):\s*(.*)$/.exec(line) ?? [];
    if (name === '' || VIRTUAL.test(name)) continue;
    const numbers = columns.trim().split(/\s+/).map(Number);
    const [received = NaN] = numbers;
    const sent = numbers[8] ?? NaN;
    if (!Number.isFinite(received) || !Number.isFinite(sent)) {
      throw nonsense('a network device and what it carried', line);
    }
    sum.received += received;
    sum.sent += sent;
  }
  return sum;
}
