import { writeModel } from '../../agent/model/tflite/generated/model.ts';
import type { Model } from '../../agent/model/tflite/generated/model.ts';
import { openTflite, writeTflite } from '../../agent/model/tflite/open.ts';
import type { TfliteModel } from '../../agent/model/tflite/open.ts';
import { makeOperator, makeTensor } from '../../agent/model/tflite/types.ts';
import type {
  TensorType,
  TfliteGraph,
  TfliteOperator,
  TfliteTensor,
} from '../../agent/model/tflite/types.ts';
import { writeRoot } from '../../agent/model/tflite/writer.ts';

/** A graph; what is not given is empty. */
export function tinySubgraph(fields: Partial<TfliteGraph>): TfliteGraph {
  return {
    name: 'main',
    tensors: [],
    inputs: [],
    outputs: [],
    operators: [],
    debugMetadataIndex: -1,
    ...fields,
  };
}

/** A model around graphs, or around one. */
export function tinyTflite(
  graphs: Partial<TfliteGraph> | readonly Partial<TfliteGraph>[],
  fields: Partial<TfliteModel> = {},
): TfliteModel {
  const list = [graphs].flat();
  return {
    format: 'tflite',
    version: 3,
    subgraphs: list.map(tinySubgraph),
    signatures: [],
    metadata: [],
    metadataBuffers: [],
    externalBufferGroups: [],
    externalBuffers: [],
    constantsOutside: false,
    unusedBuffers: [],
    tail: null,
    unknown: [],
    ...fields,
  };
}

/** A tensor that is computed. */
export function value(
  name: string,
  shape: readonly number[] = [1, 4],
  type: TensorType = 'FLOAT32',
): TfliteTensor {
  return makeTensor({ name, type, shape });
}

/** A constant of the numbers' own type. */
export function constant(
  name: string,
  numbers: Float32Array | Int8Array | Int32Array | Uint8Array,
  fields: Partial<TfliteTensor> = {},
): TfliteTensor {
  return makeTensor({
    name,
    type: TYPE_OF.get(numbers.constructor) ?? 'UINT8',
    shape: [numbers.length],
    data: new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength),
    ...fields,
  });
}

const TYPE_OF = new Map<unknown, TensorType>([
  [Float32Array, 'FLOAT32'],
  [Int8Array, 'INT8'],
  [Int32Array, 'INT32'],
]);

/** `ADD` of two tensors, without an activation. */
export function add(left: number, right: number, output: number): TfliteOperator {
  return makeOperator({
    op: 'ADD',
    inputs: [left, right],
    outputs: [output],
    options: { kind: 'AddOptions', fusedActivationFunction: 'NONE', potScaleInt16: true },
  });
}

/** The bytes of a model in one piece. */
export function tfliteBytes(model: TfliteModel): Uint8Array {
  return Buffer.concat(writeTflite(model));
}

/** The model after it has been to a file and back. */
export function throughFile(model: TfliteModel): TfliteModel {
  return openTflite(tfliteBytes(model));
}

/** A file of exactly these tables, with bytes behind the flatbuffer. */
export function fileOf(tables: Partial<Model>, ...behind: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat([...writeRoot({ version: 3, ...tables }, 'TFL3', writeModel), ...behind]);
}

/** Two stored numbers as [[0, first], [second, 0]]. */
export const sparsely = (stored: TfliteTensor): TfliteTensor => ({
  ...stored,
  shape: [2, 2],
  sparsity: {
    traversalOrder: [0, 1],
    blockMap: [],
    dimMetadata: [
      { format: 'DENSE', denseSize: 2 },
      {
        format: 'SPARSE_CSR',
        denseSize: 0,
        arraySegments: { kind: 'Int32Vector', values: Int32Array.of(0, 1, 2) },
        arrayIndices: { kind: 'Uint8Vector', values: Uint8Array.of(1, 0) },
      },
    ],
  },
});
