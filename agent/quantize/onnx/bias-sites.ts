import type { GraphProto } from '../../model/onnx/generated/messages.ts';
import { indexGraph } from '../../model/onnx/graph.ts';
import { floatData, makeTensor, tensorNumbers } from '../../model/onnx/tensor.ts';
import { DataType } from '../../model/onnx/tensor.ts';
import { roundHalfEven } from '../arithmetic.ts';

/** An integer unit with a bias: where its error can be seen, and where it can be taken back. */
export interface BiasSite {
  /** What the unit computes, before it is rounded. */
  readonly raw: string;
  /** The tensor of the float model that it stands for. */
  readonly float: string;
  /** The bias as the unit reads it, behind its DequantizeLinear. */
  readonly bias: string;
  /** How many pixels stand side by side as channels in `raw`: each of them has the same biases. */
  readonly copies?: number;
}

const INT32_MAX = 2 ** 31 - 1;

/** Adds to the biases, one value per channel; sites without a shift stay as they are. */
export function shiftBiases(
  graph: GraphProto,
  sites: readonly BiasSite[],
  shifts: ReadonlyMap<string, Float64Array>,
): GraphProto {
  const index = indexGraph(graph);
  const changed = new Map<string, GraphProto['initializer'][number]>();
  for (const { raw, bias } of sites) {
    const shift = shifts.get(raw);
    const [stored = '', scale = ''] = index.producer.get(bias)?.input ?? [];
    const integers = index.initializers.get(stored);
    const steps = index.initializers.get(scale);
    if (shift === undefined || integers === undefined || steps === undefined) continue;
    const scales = floatData(steps);
    const values = Int32Array.from(tensorNumbers(integers), (value, c) => {
      const step = scales[scales.length === 1 ? 0 : c] ?? 1;
      const moved = value + roundHalfEven((shift[c] ?? 0) / step);
      return Math.max(-INT32_MAX, Math.min(INT32_MAX, moved));
    });
    changed.set(stored, makeTensor(stored, DataType.INT32, integers.dims, values));
  }
  const initializer = graph.initializer.map((one) => changed.get(one.name ?? '') ?? one);
  return { ...graph, initializer };
}
