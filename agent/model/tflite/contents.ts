import type { LayerContent, ModelContents, OpContent, ValueContent } from '../onnx/contents.ts';
import { allOperators } from './calls.ts';
import { opName, operatorLabels } from './graph.ts';
import { numericKind } from './numeric-kind.ts';
import { parametersOf } from './parameters.ts';
import type { Parameter } from './parameters.ts';
import { isConstant } from './tensor.ts';
import { uniqueTensorNames } from './tensor-names.ts';
import type { TfliteModel, TfliteTensor } from './types.ts';
import { archiveNames } from './zip.ts';

export interface TfliteValue extends ValueContent {
  /** real = (stored - zeroPoint) * scale; absent for what is stored as it is. */
  readonly quantization?: { readonly scale: number; readonly zeroPoint: number };
}

/** What is in a .tflite file, without running it; called subgraphs are counted, too. */
export interface TfliteContents extends ModelContents {
  readonly inputs: readonly TfliteValue[];
  readonly outputs: readonly TfliteValue[];
  readonly subgraphs: readonly {
    readonly name: string;
    readonly operators: number;
    readonly tensors: number;
  }[];
  readonly signatures: readonly {
    readonly key: string;
    readonly inputs: readonly string[];
    readonly outputs: readonly string[];
  }[];
  readonly metadata: readonly { readonly name: string; readonly bytes: number }[];
  /** Files in the archive behind the model, such as labels. */
  readonly associatedFiles: readonly string[];
}

export function contentsOf(model: TfliteModel): TfliteContents {
  const parameters = [...parametersOf(model)];
  const [main] = model.subgraphs;
  const names = main === undefined ? [] : uniqueTensorNames(main);
  const values = (list: readonly number[] = []) =>
    list.flatMap((index) => {
      const tensor = main?.tensors[index];
      return tensor === undefined ? [] : [valueOf(tensor, names[index] ?? '')];
    });
  return {
    irVersion: model.version,
    opsets: [],
    producer: model.description ?? '',
    inputs: values(main?.inputs),
    outputs: values(main?.outputs),
    parameters: byType(parameters),
    ops: byOp(model, parameters),
    layers: byOperator(model, parameters),
    form: formOf(model),
    subgraphs: model.subgraphs.map(({ name, operators, tensors }) => ({
      name,
      operators: operators.length,
      tensors: tensors.length,
    })),
    signatures: model.signatures.map(({ key, inputs, outputs }) => ({
      key,
      inputs: inputs.map(({ name }) => name),
      outputs: outputs.map(({ name }) => name),
    })),
    metadata: model.metadata.map(({ name, data }) => ({ name, bytes: data?.length ?? 0 })),
    associatedFiles: model.tail === null ? [] : archiveNames(model.tail.bytes),
  };
}

/** A size of -1 in the signature is one that is not known before a run. */
function valueOf(tensor: TfliteTensor, name: string): TfliteValue {
  const { shape, shapeSignature, quantization } = tensor;
  const [scale] = quantization?.scale ?? [];
  const [zeroPoint = 0] = quantization?.zeroPoint ?? [];
  return {
    name,
    dtype: dtypeOf(tensor),
    shape: shape.map((size, axis) => ((shapeSignature?.[axis] ?? size) < 0 ? null : size)),
    ...(scale === undefined ? {} : { quantization: { scale, zeroPoint } }),
  };
}

const dtypeOf = ({ type }: TfliteTensor) => type.toLowerCase();

function byType(parameters: readonly Parameter[]): ModelContents['parameters'] {
  const found = new Map<string, { dtype: string; count: number; bytes: number }>();
  for (const { tensor, count, bytes } of parameters) {
    const dtype = dtypeOf(tensor);
    const entry = found.get(dtype) ?? { dtype, count: 0, bytes: 0 };
    found.set(dtype, { dtype, count: entry.count + count, bytes: entry.bytes + bytes });
  }
  return [...found.values()].toSorted((a, b) => b.bytes - a.bytes);
}

function byOp(model: TfliteModel, parameters: readonly Parameter[]): OpContent[] {
  const found = new Map<string, { nodes: number; parameters: number; parameterBytes: number }>();
  const entry = (op: string) => {
    const one = found.get(op) ?? { nodes: 0, parameters: 0, parameterBytes: 0 };
    found.set(op, one);
    return one;
  };
  for (const { operator } of allOperators(model)) entry(opName(operator)).nodes++;
  for (const { reader, count, bytes } of parameters) {
    if (reader === undefined) continue;
    const one = entry(opName(reader));
    one.parameters += count;
    one.parameterBytes += bytes;
  }
  return [...found]
    .map(([op, one]) => ({ op, ...one }))
    .toSorted((a, b) => b.parameterBytes - a.parameterBytes || b.nodes - a.nodes);
}

function byOperator(model: TfliteModel, parameters: readonly Parameter[]): LayerContent[] {
  const labels = operatorLabels(model);
  const found = new Map<string, { op: string; parameters: number; parameterBytes: number }>();
  for (const { reader, count, bytes } of parameters) {
    const node = reader === undefined ? undefined : labels.get(reader);
    if (reader === undefined || node === undefined) continue;
    const one = found.get(node) ?? { op: opName(reader), parameters: 0, parameterBytes: 0 };
    one.parameters += count;
    one.parameterBytes += bytes;
    found.set(node, one);
  }
  return [...found]
    .map(([node, one]) => ({ node, ...one }))
    .toSorted((a, b) => b.parameterBytes - a.parameterBytes);
}

/** What compilers of accelerators make has integers only. */
const COMPILED: readonly string[] = ['edgetpu-custom-op', 'ethos-u'];

/** How its layers compute with integers, in the words used for ONNX. */
function formOf(model: TfliteModel): ModelContents['form'] {
  let decodes = false;
  const kinds = new Set<string>();
  for (const { operator, subgraph } of allOperators(model)) {
    const graph = model.subgraphs[subgraph];
    if (graph === undefined) continue;
    const [stored] = operator.inputs.flatMap((index) => graph.tensors[index] ?? []);
    const isDecoder = operator.op === 'DEQUANTIZE' && stored !== undefined && isConstant(stored);
    if (isDecoder && stored.type !== 'FLOAT16') decodes = true;
    if (operator.op === 'FAKE_QUANT') kinds.add('simulated');
    kinds.add(COMPILED.includes(opName(operator)) ? 'integer' : numericKind(graph, operator));
  }
  if (kinds.has('simulated')) return 'simulated';
  if (kinds.has('integer')) return 'qoperator';
  if (kinds.has('hybrid')) return 'dynamic';
  return decodes ? 'weight-only' : null;
}
