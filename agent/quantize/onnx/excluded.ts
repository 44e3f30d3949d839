import type { Scheme } from '../../contracts/scheme.ts';
import type { NodeProto } from '../../model/onnx/generated/messages.ts';

/** Whether a node is to stay in float; nodes are named by their name or by what they make. */
export function isExcluded(
  { excluded }: Pick<Scheme, 'excluded'>,
  { name = '', output }: NodeProto,
): boolean {
  return excluded.includes(name) || excluded.includes(output[0] ?? '');
}
