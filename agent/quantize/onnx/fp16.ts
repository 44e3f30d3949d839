import { ModelError } from '../../model/errors.ts';
import { nodeLabel, opName } from '../../model/onnx/graph.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import { withGraph } from '../../model/onnx/open.ts';
import { QuantizeError } from '../errors.ts';
import { applyFp16 } from './fp16/apply.ts';
import type { Clamped } from './fp16/apply.ts';
import { planFp16 } from './fp16/plan.ts';
import type { Fp16Plan } from './fp16/plan.ts';
import { isCounted } from './fp16/policy.ts';
import { quantizedNode } from './recognize.ts';

/** Before this, Cast names its type in words. */
const OLDEST_OPSET = 6;

export interface Fp16Options {
  /** Inputs and outputs stay float32, with casts behind and before them. Default: true. */
  readonly keepIo?: boolean;
  /** Ops to keep in float besides those that have to be, e.g. `Softmax`, `com.microsoft.Gelu`. */
  readonly blockedOps?: readonly string[];
  /** Names of nodes, or of what they make, to keep in float. */
  readonly blockedNodes?: readonly string[];
}

export interface Fp16Row {
  readonly node: string;
  readonly op: string;
  readonly precision: 'fp16' | 'float';
  readonly reason?: string;
}

export interface Fp16Result {
  readonly model: OnnxModel;
  /** Every node that computes with floats, bodies included. */
  readonly rows: readonly Fp16Row[];
  /** Weights with finite values that float16 cannot hold, and how many. */
  readonly clamped: readonly Clamped[];
}

/**
 * Converts float32 to float16 by the real type of every tensor. Pure. The result computes what the
 * float model computes as long as no value in between exceeds 65504.
 * @throws ModelError when the model is already quantized; QuantizeError when its opset is before 6
 */
export function toFp16(model: OnnxModel, options: Fp16Options = {}): Fp16Result {
  const node = quantizedNode(model);
  if (node !== undefined) {
    const label = `node '${nodeLabel(node)}' is a ${opName(node)}`;
    throw new ModelError('UNSUPPORTED', `${label}: already quantized; convert the float model`);
  }
  if (model.opset < OLDEST_OPSET) {
    const message = `opset ${model.opset} is too old for float16: export the model with opset 13 or later`;
    throw new QuantizeError('OLD_OPSET', message);
  }
  const plan = planFp16(model, options.keepIo ?? true, {
    ops: new Set(options.blockedOps),
    nodes: options.blockedNodes ?? [],
  });
  const rows = rowsOf(plan);
  const hasFloats = [...plan.frames.values()].some(({ own }) =>
    [...own.values()].some((tensor) => tensor !== undefined),
  );
  if (!hasFloats) return { model, rows, clamped: [] };
  const { graph, clamped } = applyFp16(model.graph, plan);
  return { model: withGraph(model, graph), rows, clamped };
}

function rowsOf({ decisions }: Fp16Plan): Fp16Row[] {
  return [...decisions].flatMap(([node, { precision, reason }]): Fp16Row[] => {
    if (precision === 'none' || (precision === 'half' && !isCounted(node))) return [];
    const row = { node: nodeLabel(node), op: opName(node) };
    if (precision === 'half') return [{ ...row, precision: 'fp16' }];
    return [{ ...row, precision, ...(reason === undefined ? {} : { reason }) }];
  });
}
