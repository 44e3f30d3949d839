import { uniqueTensorNames } from '../../model/tflite/tensor-names.ts';
import { RuntimeFailure } from '../errors.ts';
import type { SessionDescription, TensorDescription } from '../types.ts';
import type { Pointer, TfliteApi } from './api.ts';
import { isNumericType, type NumericType } from '../element-arrays.ts';
import { typeName } from './element-types.ts';
import type { FileFacts, NamedIndex } from './file-facts.ts';
import type { Interpreter } from './interpreter.ts';

/** What an input or output is called, and its place among those of the interpreter. */
export interface Port {
  readonly name: string;
  readonly place: number;
}

export interface Ports {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
}

/**
 * The inputs and outputs of a model: all of the first subgraph's, by the names of its tensors, or
 * those of a signature, by its names. The C API runs the first subgraph only (up to TFLite 2.9 it
 * has no signature runner), so signatures of others are refused. Throws UNSUPPORTED.
 */
export function portsOf(modelPath: string, facts: FileFacts, signature: string | undefined): Ports {
  if (signature !== undefined) return signaturePorts(modelPath, facts, signature);
  const names = uniqueTensorNames(facts);
  const ports = (tensors: readonly number[]) =>
    tensors.map((tensor, place) => ({ name: names[tensor] ?? '', place }));
  return { inputs: ports(facts.inputs), outputs: ports(facts.outputs) };
}

function signaturePorts(modelPath: string, facts: FileFacts, key: string): Ports {
  const refuse = (why: string) =>
    new RuntimeFailure('UNSUPPORTED', `cannot load ${modelPath}: ${why}`);
  const signature = facts.signatures.find((one) => one.key === key);
  if (signature === undefined) {
    const known = facts.signatures.map((one) => one.key).join(', ') || 'none';
    throw refuse(`it has no signature '${key}', only: ${known}`);
  }
  if (signature.subgraph !== 0) {
    throw refuse(
      `signature '${key}' is subgraph ${signature.subgraph} of the file, and TFLite's C API runs the first one only: convert the model with this signature alone`,
    );
  }
  const inputs = placesOf(signature.inputs, facts.inputs);
  const outputs = placesOf(signature.outputs, facts.outputs);
  const lost = [...inputs, ...outputs].find(({ place }) => place === -1);
  if (lost !== undefined) {
    throw refuse(`signature '${key}' names '${lost.name}', which is no input or output`);
  }
  const missing = facts.inputs.findIndex((_, place) => !inputs.some((one) => one.place === place));
  if (missing !== -1) throw refuse(`signature '${key}' leaves out input ${missing} of the graph`);
  return { inputs, outputs };
}

function placesOf(named: readonly NamedIndex[], tensors: readonly number[]): readonly Port[] {
  return named.map(({ name, tensor }) => ({ name, place: tensors.indexOf(tensor) }));
}

/** Describes them as a freshly opened interpreter has them. Throws UNSUPPORTED for what is no number. */
export function describePorts(
  api: TfliteApi,
  modelPath: string,
  facts: FileFacts,
  ports: Ports,
  interpreter: Interpreter,
  remark: string | null,
): SessionDescription {
  const describe = (
    side: readonly Port[],
    pointers: readonly Pointer[],
    tensors: readonly number[],
  ) =>
    side.map(({ name, place }): TensorDescription => {
      const tensor = at(pointers, place);
      const { scale, zeroPoint } = api.tensorQuantization(tensor);
      const declared = facts.tensors[tensors[place] ?? -1]?.openShape ?? null;
      return {
        name,
        dtype: elementType(api, modelPath, name, tensor),
        shape: openShape(api, tensor, declared),
        ...(scale > 0 && { quantization: { scale, zeroPoint } }),
      };
    });
  const notes = [interpreter.note, remark].filter((note) => note !== null);
  return {
    inputs: describe(ports.inputs, interpreter.inputs, facts.inputs),
    outputs: describe(ports.outputs, interpreter.outputs, facts.outputs),
    ...(notes.length > 0 && { notes }),
  };
}

export function elementType(
  api: TfliteApi,
  modelPath: string,
  name: string,
  tensor: Pointer,
): NumericType {
  const type = typeName(api.tensorType(tensor));
  if (isNumericType(type)) return type;
  const why =
    type === 'string'
      ? 'is text (a string tensor), and only numbers can be fed and compared'
      : `has the element type ${type}, which cannot be fed or compared`;
  throw new RuntimeFailure('UNSUPPORTED', `cannot load ${modelPath}: '${name}' ${why}`);
}

export function shapeOf(api: TfliteApi, tensor: Pointer): readonly number[] {
  return Array.from({ length: api.tensorRank(tensor) }, (_, axis) => api.tensorSize(tensor, axis));
}

/**
 * Null stands for what only a run will tell: a dimension that the file leaves open, and all of them
 * for a tensor that has no memory before a run. What the file says of those may be wrong: outputs
 * declared as [1,1,2] that are [1,4420,2] exist.
 */
function openShape(
  api: TfliteApi,
  tensor: Pointer,
  declared: readonly number[] | null,
): readonly (number | null)[] {
  const shape = shapeOf(api, tensor);
  if (api.tensorData(tensor) === null) return shape.map(() => null);
  if (declared === null || declared.length !== shape.length) return shape;
  return shape.map((size, axis) => (declared[axis] === -1 ? null : size));
}

/** For lists that were made for these places. */
export function at<T>(list: readonly T[], place: number): T {
  const found = list[place];
  if (found === undefined) throw new RangeError(`nothing at place ${place} of ${list.length}`);
  return found;
}
