import type { Facts } from '../../contracts/facts.ts';
import type { HardwareProfile } from '../../contracts/profile.ts';
import { usableMemoryBytes } from '../../hardware/memory.ts';
import { MOST_EXPOSED_BYTES } from './calibration-groups.ts';

/** With less, every tensor would have a pass of its own. */
const LEAST_EXPOSED_BYTES = 2 ** 20;

/**
 * Values of tensors, in bytes, that calibration may hold at once: what the profile of the board
 * allows, and no more than its share of the memory that is free now. Smaller means more passes.
 */
export function calibrationBytes(
  { calibration }: Pick<HardwareProfile, 'calibration'>,
  memory: Facts['memory'],
): number {
  if (calibration === undefined) return MOST_EXPOSED_BYTES;
  const { memoryBytesMax, memoryFraction } = calibration;
  const free = usableMemoryBytes(memory);
  const share = free === null ? memoryBytesMax : Math.floor(free * memoryFraction);
  return Math.max(LEAST_EXPOSED_BYTES, Math.min(memoryBytesMax, share));
}
