import type { GraphProto } from '../../model/onnx/generated/messages.ts';
import { opName } from '../../model/onnx/graph.ts';
import { allFinite } from './obstacles.ts';

/** Ops that hand a mask on, or put it on something. Softmax ends it: e to the -Infinity is 0. */
const CARRIES_MASK: ReadonlySet<string> = new Set(
  (
    'Add Cast Concat Expand Flatten Gather Identity Mul Pad Reshape ScatterND Slice Split Squeeze Sub ' +
    'Tile Transpose Trilu Unsqueeze Where'
  ).split(' '),
);

/** Tensors in which infinite values are meant: they come from a constant that has some. */
export function maskedTensors({ initializer, node }: GraphProto): ReadonlySet<string> {
  const masked = new Set(
    initializer.filter((tensor) => !allFinite(tensor)).map(({ name }) => name ?? ''),
  );
  for (const one of node) {
    if (!CARRIES_MASK.has(opName(one)) || !one.input.some((name) => masked.has(name))) continue;
    for (const name of one.output) masked.add(name);
  }
  return masked;
}
