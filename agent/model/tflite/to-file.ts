import { ModelError } from '../errors.ts';
import { BUILTIN_OPERATOR } from './generated/enums.ts';
import { writeModel } from './generated/model.ts';
import type { Model, OperatorCode, SubGraph, Tensor } from './generated/model.ts';
import { BUILTIN_OPTIONS_KINDS } from './generated/options.ts';
import type { BuiltinOptions } from './generated/options.ts';
import { ALIGNMENT, MAX_INSIDE_BYTES } from './limits.ts';
import { numberOf } from './names.ts';
import { padding } from './output.ts';
import { BufferPlan } from './plan.ts';
import { moveTail } from './tail.ts';
import type {
  NamedTensor,
  OperatorOptions,
  Quantization,
  TfliteGraph,
  TfliteModel,
  TfliteOperator,
  TfliteSignature,
  TfliteTensor,
} from './types.ts';
import { writeRoot } from './writer.ts';

/** Operators from here on do not fit the byte that old runtimes read; it holds this instead. */
const FIRST_WIDE_OPERATOR = 127;

/** The whole file: the flatbuffer, what lies outside it, and the tail. */
export function writePieces(model: TfliteModel, identifier: string): readonly Uint8Array[] {
  const outside = model.constantsOutside || constantBytes(model) > MAX_INSIDE_BYTES;
  const write = (base: number) => {
    const plan = new BufferPlan(outside, base);
    const pieces = writeRoot(toFile(model, plan), identifier, writeModel);
    return { pieces: padded(pieces), outside: plan.outsidePieces() };
  };
  // The length of the flatbuffer does not depend on the numbers in it, so its end is known once it
  // has been written with any.
  const draft = write(ALIGNMENT);
  const { pieces } = draft.outside.length === 0 ? draft : write(lengthOf(draft.pieces));
  const file = [...pieces, ...draft.outside];
  return model.tail === null ? file : [...file, ...moveTail(model.tail, lengthOf(file))];
}

const lengthOf = (pieces: readonly Uint8Array[]) =>
  pieces.reduce((sum, piece) => sum + piece.length, 0);

function padded(pieces: readonly Uint8Array[]): readonly Uint8Array[] {
  const gap = padding(lengthOf(pieces), ALIGNMENT);
  return gap === 0 ? pieces : [...pieces, new Uint8Array(gap)];
}

function constantBytes(model: TfliteModel): number {
  const constants = model.subgraphs.flatMap(({ tensors }) =>
    tensors.flatMap(({ data }) => (data === null ? [] : [data])),
  );
  return lengthOf([...new Set(constants)]);
}

function toFile(model: TfliteModel, plan: BufferPlan): Model {
  const codes = new CodeList();
  const subgraphs = model.subgraphs.map((graph) => graphTable(graph, plan, codes));
  const metadata = model.metadata.map(({ name, data }) => ({ name, buffer: plan.inside(data) }));
  const metadataBuffer = model.metadataBuffers.map((data) => plan.inside(data));
  model.unusedBuffers.forEach((data) => plan.constant(data));
  return {
    version: model.version,
    operatorCodes: codes.tables,
    subgraphs,
    description: model.description,
    buffers: plan.tables,
    metadataBuffer: unlessEmpty(metadataBuffer),
    metadata: unlessEmpty(metadata),
    signatureDefs: unlessEmpty(model.signatures.map(signatureTable)),
    externalBufferGroups: unlessEmpty(model.externalBufferGroups),
    externalBuffers: unlessEmpty(model.externalBuffers),
  };
}

function unlessEmpty<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list;
}

/** The operator codes of a file, one per operator, custom name and version. */
class CodeList {
  readonly tables: OperatorCode[] = [];
  private readonly indices = new Map<string, number>();

  indexOf({ op, customCode, version }: TfliteOperator): number {
    const key = JSON.stringify([op, version, customCode]);
    const before = this.indices.get(key);
    if (before !== undefined) return before;
    const builtinCode = numberOf(BUILTIN_OPERATOR, op);
    if (Number.isNaN(builtinCode)) {
      throw new ModelError('MALFORMED', `no TFLite operator is called ${op}`);
    }
    this.indices.set(key, this.tables.length);
    return (
      this.tables.push({
        deprecatedBuiltinCode: Math.min(builtinCode, FIRST_WIDE_OPERATOR),
        customCode,
        version,
        builtinCode,
      }) - 1
    );
  }
}

function graphTable(graph: TfliteGraph, plan: BufferPlan, codes: CodeList): SubGraph {
  return {
    tensors: graph.tensors.map((tensor) => tensorTable(tensor, plan)),
    inputs: graph.inputs,
    outputs: graph.outputs,
    operators: graph.operators.map((operator) => ({
      opcodeIndex: codes.indexOf(operator),
      inputs: operator.inputs,
      outputs: operator.outputs,
      intermediates: unlessEmpty(operator.intermediates),
      mutatingVariableInputs: unlessEmpty(operator.mutatingVariableInputs),
      ...optionFields(operator.options),
      ...customOptionFields(operator, plan),
      customOptionsFormat: operator.customOptionsFormat,
      debugMetadataIndex: operator.debugMetadataIndex,
    })),
    name: graph.name,
    debugMetadataIndex: graph.debugMetadataIndex,
  };
}

function optionFields(options: OperatorOptions | null) {
  if (options === null) return {};
  return isFirstKind(options) ? { builtinOptions: options } : { builtinOptions2: options };
}

function isFirstKind(options: OperatorOptions): options is BuiltinOptions {
  return options.kind in BUILTIN_OPTIONS_KINDS;
}

function customOptionFields(
  { customOptions, customOptionsOutside }: TfliteOperator,
  plan: BufferPlan,
) {
  if (!customOptionsOutside || customOptions === undefined) {
    return { customOptions, largeCustomOptionsOffset: 0, largeCustomOptionsSize: 0 };
  }
  const { offset, size } = plan.outside(customOptions);
  return { largeCustomOptionsOffset: offset, largeCustomOptionsSize: size };
}

function tensorTable(tensor: TfliteTensor, plan: BufferPlan): Tensor {
  return {
    shape: tensor.shape,
    type: tensor.type,
    buffer: plan.constant(tensor.data),
    name: tensor.name,
    quantization: tensor.quantization === null ? undefined : quantizationTable(tensor.quantization),
    isVariable: tensor.isVariable,
    sparsity: tensor.sparsity,
    shapeSignature: tensor.shapeSignature,
    hasRank: tensor.hasRank,
    variantTensors: tensor.variantTensors,
    externalBuffer: tensor.externalBuffer,
  };
}

function quantizationTable({ scale, zeroPoint, axis, min, max, details }: Quantization) {
  return {
    scale: unlessEmpty(scale),
    zeroPoint: unlessEmpty(zeroPoint),
    min: unlessEmpty(min),
    max: unlessEmpty(max),
    details,
    quantizedDimension: axis,
  };
}

function signatureTable({ key, subgraph, inputs, outputs, deprecatedTag }: TfliteSignature) {
  return {
    inputs: inputs.map(tensorMap),
    outputs: outputs.map(tensorMap),
    signatureKey: key,
    deprecatedTag,
    subgraphIndex: subgraph,
  };
}

const tensorMap = ({ name, tensor }: NamedTensor) => ({ name, tensorIndex: tensor });
