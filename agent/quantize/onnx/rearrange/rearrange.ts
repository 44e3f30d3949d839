import type { Scheme } from '../../../contracts/scheme.ts';
import { opName } from '../../../model/onnx/graph.ts';
import { isExcluded } from '../excluded.ts';
import { averageByConv } from './average-by-conv.ts';
import { poolFirst } from './pool-first.ts';
import type { Rearranged } from './rearranged.ts';
import { selectChannels } from './select-channels.ts';

const STEPS: readonly ((given: Rearranged) => Rearranged)[] = [
  poolFirst,
  selectChannels,
  averageByConv,
];

/**
 * Says the same function in ops that integer kernels are good at. Float kernels would not gain, so
 * this is for static INT8 alone.
 */
export function rearrange(given: Rearranged, scheme: Scheme): Rearranged {
  // Who names nodes or operators means those of the model as it is.
  const isNamed = given.graph.node.some(
    (node) => isExcluded(scheme, node) && REARRANGED.has(opName(node)),
  );
  return isNamed ? given : STEPS.reduce((current, step) => step(current), given);
}

/** What the steps take out, or put somewhere else. */
const REARRANGED: ReadonlySet<string> = new Set([
  'AveragePool',
  'MaxPool',
  'LeakyRelu',
  'Sigmoid',
  'Tanh',
  'Slice',
  'Split',
  'Gather',
  'Reshape',
  'Transpose',
]);
