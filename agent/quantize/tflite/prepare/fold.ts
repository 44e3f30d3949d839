import { inputTensor, outputTensor } from '../../../model/tflite/graph.ts';
import { isConstant } from '../../../model/tflite/tensor.ts';
import type { TfliteGraph, TfliteOperator, TfliteTensor } from '../../../model/tflite/types.ts';
import { evaluate } from './evaluate.ts';
import { KnownShapes, reshaped } from './known-shapes.ts';

export interface FoldOptions {
  /** Whether the graph's inputs are the model's: those of a called graph may have any shape. */
  readonly isMain: boolean;
  /** Whether the first size of inputs that the file leaves open is the one that it declares. */
  readonly fixBatch: boolean;
}

/**
 * The graph without operators that only compute with constants: float16 weights become float32,
 * sparse ones dense, and shapes that can be known are not computed.
 */
export function foldConstants(graph: TfliteGraph, { isMain, fixBatch }: FoldOptions): TfliteGraph {
  const tensors = [...graph.tensors];
  const decoded = new Map<Uint8Array, Uint8Array>();
  const state = { ...graph, tensors, inputs: isMain ? graph.inputs : [] };
  const shapes = new KnownShapes(state, fixBatch);
  const results = new Set(graph.outputs);
  const operators = graph.operators.filter((operator) => {
    const [output = -1] = operator.outputs;
    const made = shapeOf(state, operator, shapes) ?? constantOf(state, operator);
    // A result has to be computed: runtimes give outputs memory of their own.
    if (made !== undefined && made.data !== null && !results.has(output)) {
      tensors[output] = shared(made, inputTensor(state, operator, 0), decoded);
      return false;
    }
    correctReshape(state, operator, shapes, tensors);
    shapes.pass(state, operator);
    return true;
  });
  return { ...graph, tensors, operators };
}

/** What a SHAPE gives, where that is certain. */
function shapeOf(
  graph: TfliteGraph,
  operator: TfliteOperator,
  shapes: KnownShapes,
): TfliteTensor | undefined {
  const [input = -1] = operator.inputs;
  if (operator.op !== 'SHAPE' || !shapes.has(input)) return undefined;
  const shape = graph.tensors[input]?.shape ?? [];
  const output = outputTensor(graph, operator);
  if (output === undefined || output.type !== 'INT32') return undefined;
  return { ...output, shape: [shape.length], data: new Uint8Array(Int32Array.from(shape).buffer) };
}

function constantOf(graph: TfliteGraph, operator: TfliteOperator): TfliteTensor | undefined {
  const inputs = operator.inputs.filter((index) => index >= 0);
  const all = inputs.map((index) => graph.tensors[index]);
  const isReadable = all.every(
    (one) => one !== undefined && isConstant(one) && one.data !== null && !one.isVariable,
  );
  return inputs.length > 0 && isReadable ? evaluate(graph, operator) : undefined;
}

/** Weights that shared their bytes share what becomes of them. */
function shared(
  made: TfliteTensor,
  from: TfliteTensor | undefined,
  decoded: Map<Uint8Array, Uint8Array>,
): TfliteTensor {
  const { shapeSignature: _, ...rest } = made;
  const source = from?.data ?? null;
  const isDecoded = from?.type === 'FLOAT16' && made.type === 'FLOAT32';
  if (!isDecoded || source === null || made.data === null) return rest;
  const data = decoded.get(source) ?? made.data;
  decoded.set(source, data);
  return { ...rest, data };
}

/** A RESHAPE whose shape has become known makes what it says, whatever was declared before. */
function correctReshape(
  graph: TfliteGraph,
  operator: TfliteOperator,
  shapes: KnownShapes,
  tensors: TfliteTensor[],
): void {
  const [input = -1, wish = -1] = operator.inputs;
  const [output = -1] = operator.outputs;
  const [from, shape, to] = [input, wish, output].map((index) => graph.tensors[index]);
  if (operator.op !== 'RESHAPE' || !shapes.has(input)) return;
  if (from === undefined || shape === undefined || to === undefined) return;
  if (!isConstant(shape) || shape.type !== 'INT32') return;
  const real = reshaped(from.shape, shape);
  if (real === undefined || real.join() === to.shape.join()) return;
  const { shapeSignature: _, ...rest } = to;
  tensors[output] = { ...rest, shape: real, hasRank: true };
}
