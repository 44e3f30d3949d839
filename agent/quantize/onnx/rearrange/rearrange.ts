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
 * this is for static INT8 alone. Nodes that are to stay as they are stay where they are.
 */
export function rearrange(given: Rearranged): Rearranged {
  return STEPS.reduce((current, step) => ({ ...given, ...step(current) }), given);
}
