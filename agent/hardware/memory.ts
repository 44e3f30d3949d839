import type { Facts } from '../contracts/facts.ts';
import { readMemoryLimit } from './cgroup.ts';
import { nonsense } from './error.ts';
import { missFact, readFact, type Reading } from './facts-log.ts';

const MEMINFO = '/proc/meminfo';
const KIB = 1024;

/**
 * Reads memory, in bytes. `availableBytes` is what the kernel could hand out without swapping
 * (MemAvailable, never MemFree); on a Jetson the GPU takes its share from the same memory.
 */
export async function readMemory(reading: Reading): Promise<Facts['memory']> {
  const totalBytes = await readFact(reading, 'memory.totalBytes', MEMINFO, (text) =>
    meminfoBytes(text, 'MemTotal'),
  );
  const availableBytes = await readFact(reading, 'memory.availableBytes', MEMINFO, (text) =>
    meminfoBytes(text, 'MemAvailable'),
  );
  const limitBytes = await readMemoryLimit(reading);
  return { totalBytes, availableBytes, limitBytes, swapBytes: await readSwap(reading) };
}

/** What this process may still use: the available memory, no more than its limit; null if unknown. */
export function usableMemoryBytes(memory: Facts['memory']): number | null {
  const { availableBytes, limitBytes } = memory;
  if (availableBytes === null || limitBytes === null) return availableBytes ?? limitBytes;
  return Math.min(availableBytes, limitBytes);
}

function meminfoBytes(text: string, key: string): number {
  const [, kib] = new RegExp(`^${key}:\\s+(\\d{1,15}) kB$`, 'm').exec(text) ?? [];
  if (kib === undefined) throw nonsense(`a line "${key}: N kB"`, text);
  if (key === 'MemTotal' && Number(kib) === 0) throw nonsense('memory above zero', kib);
  return Number(kib) * KIB;
}

/** Swap on disk. Compressed swap in memory (zram, zswap) is for emergencies and not capacity. */
async function readSwap(reading: Reading): Promise<number | null> {
  const fact = 'memory.swapBytes';
  const listed = await readFact(reading, fact, '/proc/swaps', parseSwaps);
  if (listed !== null) return listed;
  const why = reading.unknown.get(fact) ?? '';
  const total = await readFact(reading, fact, MEMINFO, (text) => meminfoBytes(text, 'SwapTotal'));
  if (total === 0) return 0;
  if (total === null) missFact(reading, fact, `${why}; ${reading.unknown.get(fact) ?? ''}`);
  else missFact(reading, fact, `${why}; SwapTotal does not tell disk from zram`);
  return null;
}

function parseSwaps(text: string): number {
  const [head = '', ...lines] = text.trim().split('\n');
  if (!/^Filename\s+Type\s+Size/.test(head)) throw nonsense('a table of swap areas', text);
  return lines.map(swapBytes).reduce((sum, bytes) => sum + bytes, 0);
}

function swapBytes(line: string): number {
  const [path = '', , kib = ''] = line.trim().split(/\s+/);
  if (!/^\d{1,15}$/.test(kib)) throw nonsense('a swap area and its size', line);
  return /\/zram\d+$/.test(path) ? 0 : Number(kib) * KIB;
}
