import { averageByConv } from './average-by-conv.ts';
import { poolFirst } from './pool-first.ts';
import { commonOps } from './common-ops.ts';
import type { Rearranged } from './rearranged.ts';
import { selectChannels } from './select-channels.ts';

const STEPS: readonly ((given: Rearranged) => Rearranged)[] = [
  commonOps,
  poolFirst,
  selectChannels,
  averageByConv,
];

/**
 * Says the same function in ops that integer kernels are good at. Float kernels would not gain, so
 * this is for static INT8 alone.
 */
export function rearrange(given: Rearranged): Rearranged {
  return STEPS.reduce((current, step) => step(current), given);
}
