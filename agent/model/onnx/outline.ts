import type { GraphProto, TensorProto } from './generated/messages.ts';
import { withGraph } from './open.ts';
import type { OnnxModel } from './open.ts';

/** Larger ones hold weights; smaller ones may say what shape a tensor takes. */
const MOST_ELEMENTS = 64;
/** From this version of the format on an initializer need not be an input as well. */
const FIRST_IR_WITHOUT_INPUTS = 4;

/**
 * The model with its weights as inputs: a small file from which a runtime infers the types and shapes
 * of all tensors as from the whole one. Null where that cannot be said in the model's version.
 */
export function outline(model: OnnxModel): OnnxModel | null {
  if ((model.proto.irVersion ?? 0) < FIRST_IR_WITHOUT_INPUTS) return null;
  const { graph } = model;
  const kept = graph.initializer.filter((tensor) => !isLarge(tensor));
  const weights = graph.initializer.filter(isLarge).map(asInput);
  return withGraph(model, { ...graph, initializer: kept, input: [...graph.input, ...weights] });
}

function isLarge({ dims }: TensorProto): boolean {
  return dims.reduce((product, size) => product * size, 1) > MOST_ELEMENTS;
}

function asInput({ name, dataType, dims }: TensorProto): GraphProto['input'][number] {
  const dim = dims.map((size) => ({ dimValue: size }));
  return { name, type: { tensorType: { elemType: dataType, shape: { dim } } } };
}
