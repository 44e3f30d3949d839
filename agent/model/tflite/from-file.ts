import { ModelError } from '../errors.ts';
import { storedBuffers } from './buffers.ts';
import type { StoredBuffers } from './buffers.ts';
import { calledSubgraphs } from './calls.ts';
import { BUILTIN_OPERATOR } from './generated/enums.ts';
import type {
  Model,
  Operator,
  OperatorCode,
  QuantizationParameters,
  SignatureDef,
  SubGraph,
  Tensor,
} from './generated/model.ts';
import { checkIndices, outOfRange } from './indices.ts';
import { MAX_RANK } from './limits.ts';
import { nameOf } from './names.ts';
import type { Root } from './reader.ts';
import { findTail } from './tail.ts';
import type {
  Quantization,
  TfliteGraph,
  TfliteModel,
  TfliteOperator,
  TfliteSignature,
  TfliteTensor,
} from './types.ts';

interface Context {
  readonly codes: readonly OperatorCode[];
  readonly buffers: StoredBuffers;
  readonly subgraphs: number;
  /** Found besides what the reader found. */
  readonly unknown: string[];
}

/**
 * The tables of a file as a model: buffers become bytes, operator codes become operators, and every
 * index is checked.
 */
export function fromFile(
  { value: file, unknown, end }: Root<Model>,
  bytes: Uint8Array,
): TfliteModel {
  const context: Context = {
    codes: file.operatorCodes ?? [],
    buffers: storedBuffers(file.buffers ?? [], bytes),
    subgraphs: file.subgraphs?.length ?? 0,
    unknown: [...unknown],
  };
  const { buffers } = context;
  const subgraphs = (file.subgraphs ?? []).map((graph, index) =>
    graphOf(graph, `subgraphs[${index}]`, context),
  );
  if (subgraphs.length === 0) throw new ModelError('NOT_A_MODEL', 'this TFLite file has no graph');
  const model = {
    format: 'tflite',
    version: file.version,
    description: file.description,
    subgraphs,
    signatures: (file.signatureDefs ?? []).map((one, index) =>
      signatureOf(one, `signatureDefs[${index}]`, subgraphs),
    ),
    metadata: (file.metadata ?? []).map(({ name, buffer }, index) => ({
      name: name ?? '',
      data: buffers.take(buffer, `metadata[${index}].buffer`),
    })),
    metadataBuffers: (file.metadataBuffer ?? []).map((buffer, index) =>
      buffers.take(buffer, `metadataBuffer[${index}]`),
    ),
    externalBufferGroups: file.externalBufferGroups ?? [],
    externalBuffers: file.externalBuffers ?? [],
    unknown: context.unknown,
  } as const;
  return {
    ...model,
    // What lies outside and which buffers nobody took is known only now.
    constantsOutside: buffers.outside(),
    unusedBuffers: buffers.unused(),
    tail: findTail(bytes, Math.max(end, buffers.end())),
  };
}

function graphOf(graph: SubGraph, path: string, context: Context): TfliteGraph {
  const tensors = (graph.tensors ?? []).map((tensor, index) =>
    tensorOf(tensor, `${path}.tensors[${index}]`, context),
  );
  tensors.forEach(({ quantization }, index) => {
    const details = quantization?.details;
    if (details === undefined || details.kind === 'CustomQuantization') return;
    const at = `${path}.tensors[${index}].quantization.details`;
    checkIndices([details.scales, details.zeroPoints], -1, tensors.length, at);
  });
  const check = (indices: readonly number[] | undefined, least: number, at: string) =>
    checkIndices(indices ?? [], least, tensors.length, `${path}.${at}`);
  return {
    name: graph.name ?? '',
    tensors,
    inputs: check(graph.inputs, 0, 'inputs'),
    outputs: check(graph.outputs, 0, 'outputs'),
    operators: (graph.operators ?? []).map((operator, index) => {
      const at = `operators[${index}]`;
      return {
        ...operatorOf(operator, `${path}.${at}`, context),
        inputs: check(operator.inputs, -1, `${at}.inputs`),
        outputs: check(operator.outputs, -1, `${at}.outputs`),
        intermediates: check(operator.intermediates, -1, `${at}.intermediates`),
      };
    }),
    debugMetadataIndex: graph.debugMetadataIndex,
  };
}

function tensorOf(tensor: Tensor, path: string, { buffers }: Context): TfliteTensor {
  const shape = tensor.shape ?? [];
  if (shape.length > MAX_RANK) {
    throw new ModelError(
      'LIMIT',
      `${shape.length} dimensions in ${path}; the most are ${MAX_RANK}`,
    );
  }
  return {
    name: tensor.name ?? '',
    type: tensor.type,
    shape,
    shapeSignature: tensor.shapeSignature,
    hasRank: tensor.hasRank,
    data: buffers.take(tensor.buffer, `${path}.buffer`, 'constant'),
    externalBuffer: tensor.externalBuffer,
    quantization: tensor.quantization === undefined ? null : quantizationOf(tensor.quantization),
    isVariable: tensor.isVariable,
    sparsity: tensor.sparsity,
    variantTensors: tensor.variantTensors,
  };
}

function quantizationOf(stored: QuantizationParameters): Quantization {
  return {
    scale: stored.scale ?? [],
    zeroPoint: stored.zeroPoint ?? [],
    axis: stored.quantizedDimension,
    min: stored.min ?? [],
    max: stored.max ?? [],
    details: stored.details,
  };
}

type WithoutTensors = Omit<TfliteOperator, 'inputs' | 'outputs' | 'intermediates'>;

function operatorOf(operator: Operator, path: string, context: Context): WithoutTensors {
  const code = context.codes[operator.opcodeIndex];
  if (code === undefined) {
    throw outOfRange(operator.opcodeIndex, context.codes.length, `${path}.opcodeIndex`);
  }
  if (operator.builtinOptions !== undefined && operator.builtinOptions2 !== undefined) {
    context.unknown.push(`the second options of ${path}`);
  }
  const options = operator.builtinOptions ?? operator.builtinOptions2 ?? null;
  checkIndices(calledSubgraphs(options), 0, context.subgraphs, `${path}.builtinOptions`);
  return {
    op: nameOf(BUILTIN_OPERATOR, Math.max(code.deprecatedBuiltinCode, code.builtinCode)),
    customCode: code.customCode,
    version: code.version,
    mutatingVariableInputs: operator.mutatingVariableInputs ?? [],
    options,
    ...customOptionsOf(operator, path, context),
    customOptionsFormat: operator.customOptionsFormat,
    debugMetadataIndex: operator.debugMetadataIndex,
  };
}

function customOptionsOf(
  operator: Operator,
  path: string,
  { buffers }: Context,
): Pick<TfliteOperator, 'customOptions' | 'customOptionsOutside'> {
  const { largeCustomOptionsOffset: offset, largeCustomOptionsSize: size } = operator;
  // The format counts an offset of 0 or 1 as none.
  if (offset <= 1) return { customOptions: operator.customOptions, customOptionsOutside: false };
  return {
    customOptions: buffers.range(offset, size, `${path}.largeCustomOptionsOffset`),
    customOptionsOutside: true,
  };
}

function signatureOf(
  signature: SignatureDef,
  path: string,
  subgraphs: readonly TfliteGraph[],
): TfliteSignature {
  const graph = subgraphs[signature.subgraphIndex];
  if (graph === undefined) {
    throw outOfRange(signature.subgraphIndex, subgraphs.length, `${path}.subgraphIndex`);
  }
  const named = (list: SignatureDef['inputs'], at: string) =>
    (list ?? []).map(({ name, tensorIndex }, index) => {
      checkIndices([tensorIndex], 0, graph.tensors.length, `${path}.${at}[${index}]`);
      return { name: name ?? '', tensor: tensorIndex };
    });
  return {
    key: signature.signatureKey ?? '',
    subgraph: signature.subgraphIndex,
    inputs: named(signature.inputs, 'inputs'),
    outputs: named(signature.outputs, 'outputs'),
    deprecatedTag: signature.deprecatedTag,
  };
}
