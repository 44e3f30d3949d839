import type {
  BuiltinOperator,
  CustomOptionsFormat,
  DimensionType,
  TensorType,
} from './generated/enums.ts';
import type {
  ExternalBuffer,
  ExternalBufferGroup,
  QuantizationDetails,
  SparsityParameters,
  VariantSubType,
} from './generated/model.ts';
import type { BuiltinOptions, BuiltinOptions2 } from './generated/options.ts';

/**
 * A .tflite file as plain data. Nothing here is edited in place: passes return new objects. Bytes
 * are views on the file. Every index is checked when a file is opened.
 */

export type { BuiltinOperator, DimensionType, SparsityParameters, TensorType, VariantSubType };

export interface TfliteModel {
  readonly format: 'tflite';
  /** Version of the format, 3 in every file that current runtimes accept. */
  readonly version: number;
  readonly description?: string | undefined;
  /** The first one is the main graph; control flow calls the others by their index. */
  readonly subgraphs: readonly TfliteGraph[];
  readonly signatures: readonly TfliteSignature[];
  readonly metadata: readonly TfliteMetadata[];
  /** What the deprecated list `metadata_buffer` refers to. */
  readonly metadataBuffers: readonly (Uint8Array | null)[];
  /** Weights in other files (format 3d): described here, not read. */
  readonly externalBufferGroups: readonly ExternalBufferGroup[];
  readonly externalBuffers: readonly ExternalBuffer[];
  /** Constants lie behind the flatbuffer (format 3c), as in files of over 2 GB. */
  readonly constantsOutside: boolean;
  /** Buffers with content that nothing refers to: converters leave some behind. */
  readonly unusedBuffers: readonly Uint8Array[];
  /** What lies behind the model: a zip archive with associated files (labels, vocabularies). */
  readonly tail: TfliteTail | null;
  /**
   * Places where the file holds what this program does not know. Such a model can be looked at and
   * run, but `writeTflite` refuses it: writing would lose what stands there.
   */
  readonly unknown: readonly string[];
}

export interface TfliteTail {
  readonly bytes: Uint8Array;
  /** Where the bytes began in the file: the archive counts from the start of the file. */
  readonly offset: number;
}

export interface TfliteMetadata {
  readonly name: string;
  readonly data: Uint8Array | null;
}

/** A subgraph by name, with names for what goes in and out. */
export interface TfliteSignature {
  readonly key: string;
  readonly subgraph: number;
  readonly inputs: readonly NamedTensor[];
  readonly outputs: readonly NamedTensor[];
  readonly deprecatedTag?: string | undefined;
}

/** `tensor` is an index into the tensors of the signature's subgraph. */
export interface NamedTensor {
  readonly name: string;
  readonly tensor: number;
}

/** Tensors are referred to by index: their names need not be unique. */
export interface TfliteGraph {
  readonly name: string;
  readonly tensors: readonly TfliteTensor[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** In the order of execution. */
  readonly operators: readonly TfliteOperator[];
  readonly debugMetadataIndex: number;
}

export interface TfliteTensor {
  readonly name: string;
  readonly type: TensorType;
  readonly shape: readonly number[];
  /** The shape with -1 where a dimension is not known; absent where all are. */
  readonly shapeSignature?: readonly number[] | undefined;
  /** Tells a scalar from a tensor of unknown rank; both have the shape []. Old files say false. */
  readonly hasRank: boolean;
  /**
   * The values of a constant. Tensors that share one buffer share the bytes, and the writer stores
   * the same bytes in memory once. Null for what is computed.
   */
  readonly data: Uint8Array | null;
  /** `id` of an external buffer that holds the values; 0 for none. */
  readonly externalBuffer: number;
  readonly quantization: Quantization | null;
  readonly isVariable: boolean;
  readonly sparsity?: SparsityParameters | undefined;
  readonly variantTensors?: readonly VariantSubType[] | undefined;
}

/** real = (stored - zeroPoint) * scale */
export interface Quantization {
  /** One per tensor, or one per index along `axis`. */
  readonly scale: readonly number[];
  readonly zeroPoint: readonly number[];
  readonly axis: number;
  readonly min: readonly number[];
  readonly max: readonly number[];
  /** Where present it takes the place of scale and zeroPoint; its tensors are indices too. */
  readonly details?: QuantizationDetails | undefined;
}

/** Told apart by `kind`, the name of the table: `{ kind: 'Conv2DOptions', padding: 'SAME', ... }`. */
export type OperatorOptions = BuiltinOptions | BuiltinOptions2;

export interface TfliteOperator {
  readonly op: BuiltinOperator;
  /** The name of an operator whose `op` is CUSTOM. */
  readonly customCode?: string | undefined;
  readonly version: number;
  /** Indices of tensors; -1 where an optional input is left out. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly intermediates: readonly number[];
  /** Either empty or one per input. */
  readonly mutatingVariableInputs: readonly boolean[];
  readonly options: OperatorOptions | null;
  readonly customOptions?: Uint8Array | undefined;
  readonly customOptionsFormat: CustomOptionsFormat;
  /** The custom options lie behind the flatbuffer (format 3c). */
  readonly customOptionsOutside: boolean;
  readonly debugMetadataIndex: number;
}

/** The options of one kind: `OptionsOf<'Conv2DOptions'>`. */
export type OptionsOf<K extends OperatorOptions['kind']> = Extract<OperatorOptions, { kind: K }>;

/** The options if they are of this kind. */
export function optionsOf<K extends OperatorOptions['kind']>(
  operator: TfliteOperator,
  kind: K,
): OptionsOf<K> | undefined {
  return isOptions(operator.options, kind) ? operator.options : undefined;
}

function isOptions<K extends OperatorOptions['kind']>(
  options: OperatorOptions | null,
  kind: K,
): options is OptionsOf<K> {
  return options?.kind === kind;
}

/** A tensor with the fields that matter; the rest as new tensors have it. */
export function makeTensor(
  fields: Pick<TfliteTensor, 'name' | 'type' | 'shape'> & Partial<TfliteTensor>,
): TfliteTensor {
  return {
    hasRank: true,
    data: null,
    externalBuffer: 0,
    quantization: null,
    isVariable: false,
    ...fields,
  };
}

export function makeOperator(
  fields: Pick<TfliteOperator, 'op' | 'inputs' | 'outputs'> & Partial<TfliteOperator>,
): TfliteOperator {
  return {
    version: 1,
    intermediates: [],
    mutatingVariableInputs: [],
    options: null,
    customOptionsFormat: 'FLEXBUFFERS',
    customOptionsOutside: false,
    debugMetadataIndex: -1,
    ...fields,
  };
}

export function makeQuantization(
  scale: readonly number[],
  zeroPoint: readonly number[],
  axis = 0,
): Quantization {
  return { scale, zeroPoint, axis, min: [], max: [] };
}
