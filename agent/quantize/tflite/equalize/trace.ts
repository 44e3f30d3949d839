import { indexGraph, opName } from '../../../model/tflite/graph.ts';
import { uniqueTensorNames } from '../../../model/tflite/tensor-names.ts';
import type { TfliteGraph, TfliteOperator, TfliteTensor } from '../../../model/tflite/types.ts';
import { Tracer } from '../../equalize/trace.ts';
import type { Constant, Step } from '../../equalize/trace.ts';
import { RULES } from './rules.ts';

/** An operator, with the unique names of its tensors. */
export interface TfliteStep extends Step {
  readonly operator: TfliteOperator;
}

export interface TfliteConstant extends Constant {
  readonly tensor: TfliteTensor;
}

export type TfliteTracer = Tracer<TfliteStep, TfliteConstant>;

/**
 * Follows the channels that convolutions with constant weights make to those that read them
 * (products.ts tells why no others). What anything else reads, or leaves the graph, keeps the factor 1.
 */
export function trace(graph: TfliteGraph): TfliteTracer {
  const names = uniqueTensorNames(graph);
  const index = indexGraph(graph);
  const nameOf = (at: number) => names[at] ?? '';
  const constants = new Map(
    [...index.constants].map(([at, tensor]) => [nameOf(at), { dims: tensor.shape, tensor }]),
  );
  const tracer: TfliteTracer = new Tracer({
    constant: (name: string) => constants.get(name),
    isFloat: ({ tensor }: TfliteConstant) =>
      tensor.type === 'FLOAT32' && tensor.data !== null && tensor.sparsity === undefined,
    shapes: new Map(graph.tensors.map(({ shape }, at) => [nameOf(at), shape])),
    fixedShapes: graph.tensors.every(
      ({ shapeSignature = [] }) => !shapeSignature.some((size, axis) => axis > 0 && size < 0),
    ),
  });
  for (const operator of graph.operators) {
    const step = {
      operator,
      input: operator.inputs.map(nameOf),
      output: operator.outputs.map(nameOf),
    };
    const found = RULES.get(opName(operator))?.(step, tracer);
    tracer.note(
      step,
      isClamped(operator) ? found?.map((one) => tracer.block(one)) : found,
      step.input,
    );
  }
  for (const at of graph.outputs) tracer.block(tracer.layout(nameOf(at)));
  return tracer;
}

/** RELU6 and its like have bounds that would have to move along. */
function isClamped({ options }: TfliteOperator): boolean {
  if (options === null || !('fusedActivationFunction' in options)) return false;
  return options.fusedActivationFunction !== 'NONE' && options.fusedActivationFunction !== 'RELU';
}
