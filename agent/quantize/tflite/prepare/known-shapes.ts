import { isConstant, tensorNumbers } from '../../../model/tflite/tensor.ts';
import type {
  TensorType,
  TfliteGraph,
  TfliteOperator,
  TfliteTensor,
} from '../../../model/tflite/types.ts';

/**
 * Which shapes of a graph hold while it runs. What a file declares may be wrong: where a shape is
 * computed, converters write 1 for every size that they do not know.
 */
export class KnownShapes {
  private readonly known = new Set<number>();
  private readonly fixBatch: boolean;

  /** @param fixBatch takes the first size of inputs as declared, where the file leaves it open */
  constructor(graph: TfliteGraph, fixBatch: boolean) {
    this.fixBatch = fixBatch;
    for (const index of graph.inputs) {
      const tensor = graph.tensors[index];
      if (tensor !== undefined && this.isSaid(tensor)) this.known.add(index);
    }
  }

  has(index: number): boolean {
    return this.known.has(index);
  }

  /** What is known after an operator; `graph` holds the constants found so far. */
  pass(graph: TfliteGraph, operator: TfliteOperator): void {
    if (isUnforeseeable(operator)) return;
    for (const input of operator.inputs) {
      const tensor = graph.tensors[input];
      if (tensor === undefined || isConstant(tensor)) continue;
      // Numbers that are computed may be a shape.
      if (INDICES.includes(tensor.type) || !this.known.has(input)) return;
    }
    for (const output of operator.outputs) {
      const tensor = graph.tensors[output];
      if (tensor !== undefined && this.isSaid(tensor)) this.known.add(output);
    }
  }

  private isSaid({ shape, shapeSignature, hasRank }: TfliteTensor): boolean {
    const open = (shapeSignature ?? []).flatMap((size, axis) => (size < 0 ? [axis] : []));
    if (shape.some((size) => size < 0) || (shape.length === 0 && !hasRank)) return false;
    return open.every((axis) => axis === 0 && this.fixBatch);
  }
}

const INDICES: readonly TensorType[] = ['INT32', 'INT64', 'UINT32', 'UINT64', 'STRING'];

/** The size of what these make depends on values. */
const UNFORESEEABLE =
  /^(CUSTOM|CALL|IF|WHILE|STABLEHLO_.*|WHERE|UNIQUE|NON_MAX_.*|HASHTABLE.*|SKIP_GRAM|READ_VARIABLE|EMBEDDING_LOOKUP_SPARSE)$/;

function isUnforeseeable({ op }: TfliteOperator): boolean {
  return UNFORESEEABLE.test(op);
}

/** The shape that a RESHAPE with these numbers gives a tensor; undefined where they do not fit. */
export function reshaped(input: readonly number[], wish: TfliteTensor): number[] | undefined {
  const shape = tensorNumbers(wish);
  const open = shape.indexOf(-1);
  const all = input.reduce((product, size) => product * size, 1);
  const rest = shape.reduce((product, size) => (size === -1 ? product : product * size), 1);
  if (open !== -1) shape[open] = all / rest;
  const isWhole = shape.every((size) => Number.isInteger(size) && size >= 0);
  const size = shape.reduce((product, one) => product * one, 1);
  return isWhole && size === all ? shape : undefined;
}
