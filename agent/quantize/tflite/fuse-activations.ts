import { indexGraph } from '../../model/tflite/graph.ts';
import type { GraphIndex } from '../../model/tflite/graph.ts';
import type { ActivationFunctionType } from '../../model/tflite/generated/enums.ts';
import type { TfliteGraph, TfliteOperator } from '../../model/tflite/types.ts';

/** A graph whose activations are part of the operators in front of them, as far as that goes. */
export interface Fused {
  readonly graph: TfliteGraph;
  /** Operators of the graph before -> the one that does their work now. */
  readonly moved: ReadonlyMap<TfliteOperator, TfliteOperator>;
}

const ACTIVATIONS: ReadonlyMap<string, ActivationFunctionType> = new Map([
  ['RELU', 'RELU'],
  ['RELU6', 'RELU6'],
  ['RELU_N1_TO_1', 'RELU_N1_TO_1'],
]);

/** TRANSPOSE_CONV can, too, but only since TensorFlow Lite 2.13. */
const FUSING: ReadonlySet<string> = new Set([
  'CONV_2D',
  'DEPTHWISE_CONV_2D',
  'FULLY_CONNECTED',
  'ADD',
  'SUB',
  'MUL',
  'AVERAGE_POOL_2D',
  'MAX_POOL_2D',
]);

/**
 * Makes RELU and its like part of what they alone read: in integers that costs nothing, and an
 * operator of its own costs more than the convolution in front of it may have gained.
 */
export function fuseActivations(
  graph: TfliteGraph,
  isExcluded: (operator: TfliteOperator) => boolean,
): Fused {
  const index = indexGraph(graph);
  const moved = new Map<TfliteOperator, TfliteOperator>();
  const absorbed = new Set<TfliteOperator>();
  for (const clamp of graph.operators) {
    const maker = makerToFuse(index, clamp);
    if (maker === undefined || moved.has(maker) || isExcluded(clamp)) continue;
    const fused = withActivation(maker, clamp);
    absorbed.add(clamp);
    moved.set(maker, fused).set(clamp, fused);
  }
  if (moved.size === 0) return { graph, moved };
  const operators = graph.operators
    .filter((operator) => !absorbed.has(operator))
    .map((operator) => moved.get(operator) ?? operator);
  return { graph: { ...graph, operators }, moved };
}

function makerToFuse(
  { producer, consumers, outputs }: GraphIndex,
  { op, inputs: [input = -1] }: TfliteOperator,
): TfliteOperator | undefined {
  const maker = producer.get(input);
  if (!ACTIVATIONS.has(op) || maker === undefined || !FUSING.has(maker.op)) return undefined;
  if (consumers.get(input)?.length !== 1 || outputs.has(input)) return undefined;
  const { options } = maker;
  const isFree =
    options !== null &&
    'fusedActivationFunction' in options &&
    options.fusedActivationFunction === 'NONE';
  return isFree ? maker : undefined;
}

function withActivation(maker: TfliteOperator, clamp: TfliteOperator): TfliteOperator {
  const { options } = maker;
  const fusedActivationFunction = ACTIVATIONS.get(clamp.op);
  if (options === null || fusedActivationFunction === undefined) return maker;
  const changed =
    'fusedActivationFunction' in options ? { ...options, fusedActivationFunction } : options;
  return { ...maker, outputs: clamp.outputs, options: changed };
}
