import { messageOf } from '../../util/errors.ts';
import { RuntimeFailure } from '../errors.ts';
import { FlatTable } from './flat-table.ts';
import { PagedFile } from './paged-file.ts';
import { hasShortWindows } from './window-facts.ts';

/*
 * What the C API does not tell about a model: which dimensions are open, which tensors keep their
 * values from one run to the next, what the signatures call inputs and outputs, whether something is
 * computed for nobody, where constants lie, and whether XNNPACK would compute it wrongly (window-facts.ts).
 * Field numbers are those of the format's schema (tensorflow/lite/schema/schema.fbs, version 3).
 */

export interface TensorFacts {
  readonly name: string;
  /** The shape with -1 where a dimension is open; null where the file fixes all of them. */
  readonly openShape: readonly number[] | null;
}

export interface SignatureFacts {
  readonly key: string;
  readonly subgraph: number;
  readonly inputs: readonly NamedIndex[];
  readonly outputs: readonly NamedIndex[];
}

/** `tensor` is an index into the tensors of the signature's subgraph. */
export interface NamedIndex {
  readonly name: string;
  readonly tensor: number;
}

export interface FileFacts {
  /** Of the first subgraph, which is the one that the C API runs. */
  readonly tensors: readonly TensorFacts[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** Whether a tensor of any subgraph keeps its values from one run to the next. */
  readonly hasVariables: boolean;
  /** Whether an operator of any subgraph makes only what nothing reads and no output shows. */
  readonly hasUnreadResults: boolean;
  /** Whether constants lie behind the flatbuffer, where libraries before 2.15 do not look. */
  readonly hasOutsideConstants: boolean;
  /** Whether a convolution of any subgraph is one that XNNPACK computes wrongly (short-windows.ts). */
  readonly hasShortWindows: boolean;
  readonly signatures: readonly SignatureFacts[];
}

const IDENTIFIER = 'TFL3';
const IDENTIFIER_AT = 4;

const MODEL = { subgraphs: 2, buffers: 4, signatures: 7 } as const;
const BUFFER = { offset: 1 } as const;
/** More than a table with its vtable, and little beside the constants between them. */
const BUFFER_PAGE_BYTES = 256;
const SUBGRAPH = { tensors: 0, inputs: 1, outputs: 2, operators: 3 } as const;
const OPERATOR = { inputs: 1, outputs: 2 } as const;
const TENSOR = { name: 3, isVariable: 5, shapeSignature: 7 } as const;
const SIGNATURE = { inputs: 0, outputs: 1, key: 2, subgraph: 4 } as const;
const NAMED = { name: 0, tensor: 1 } as const;

/** Reads them from a model file. Throws INVALID_MODEL when it is none. */
export function readFileFacts(path: string): FileFacts {
  const file = new PagedFile(path);
  try {
    if (file.bytes < 8 || file.text(IDENTIFIER_AT, 4) !== IDENTIFIER) {
      throw new RangeError('it does not begin like one');
    }
    return { ...factsOf(FlatTable.root(file)), hasOutsideConstants: hasOutsideConstants(path) };
  } catch (error) {
    const message = `cannot load ${path}: not a TFLite model, or cut short (${messageOf(error)})`;
    throw new RuntimeFailure('INVALID_MODEL', message, { cause: error });
  } finally {
    file.close();
  }
}

function factsOf(model: FlatTable): Omit<FileFacts, 'hasOutsideConstants'> {
  const subgraphs = model.tables(MODEL.subgraphs);
  const [main] = subgraphs;
  if (main === undefined) throw new RangeError('it has no graph');
  const tensors = main.tables(SUBGRAPH.tensors).map((tensor) => ({
    name: tensor.text(TENSOR.name) ?? '',
    openShape: tensor.ints(TENSOR.shapeSignature),
  }));
  const inputs = main.ints(SUBGRAPH.inputs) ?? [];
  const outputs = main.ints(SUBGRAPH.outputs) ?? [];
  const stray = [...inputs, ...outputs].find((index) => tensors[index] === undefined);
  if (stray !== undefined) throw new RangeError(`it has no tensor ${stray}`);
  return {
    tensors,
    inputs,
    outputs,
    hasVariables: subgraphs.some((graph) =>
      graph.tables(SUBGRAPH.tensors).some((tensor) => tensor.bool(TENSOR.isVariable)),
    ),
    hasUnreadResults: subgraphs.some(hasUnreadResults),
    hasShortWindows: hasShortWindows(model, subgraphs, hasOpenSizes(tensors, inputs)),
    signatures: model.tables(MODEL.signatures).map((signature) => ({
      key: signature.text(SIGNATURE.key) ?? '',
      subgraph: signature.int32(SIGNATURE.subgraph),
      inputs: namedIn(signature, SIGNATURE.inputs),
      outputs: namedIn(signature, SIGNATURE.outputs),
    })),
  };
}

/** Sizes beside the batch that may be others than the file declares. */
function hasOpenSizes(tensors: readonly TensorFacts[], inputs: readonly number[]): boolean {
  return inputs.some((at) => tensors[at]?.openShape?.some((size, axis) => axis > 0 && size < 0));
}

/**
 * An offset of 0 or 1 says that there is none; its low half is enough, since not all are multiples of
 * 4 GB. A buffer's table lies beside its data, of which little is to be read.
 */
function hasOutsideConstants(path: string): boolean {
  const file = new PagedFile(path, BUFFER_PAGE_BYTES);
  try {
    const buffers = FlatTable.root(file).tables(MODEL.buffers);
    return buffers.some((buffer) => ![0, 1].includes(buffer.int32(BUFFER.offset)));
  } finally {
    file.close();
  }
}

/** If a chain of operators is for nobody, its last one makes what nothing reads. */
function hasUnreadResults(graph: FlatTable): boolean {
  const operators = graph.tables(SUBGRAPH.operators);
  const read = new Set(graph.ints(SUBGRAPH.outputs) ?? []);
  for (const one of operators) for (const at of one.ints(OPERATOR.inputs) ?? []) read.add(at);
  return operators.some((one) => {
    const made = one.ints(OPERATOR.outputs) ?? [];
    return made.length > 0 && !made.some((tensor) => read.has(tensor));
  });
}

function namedIn(signature: FlatTable, field: number): readonly NamedIndex[] {
  return signature
    .tables(field)
    .map((entry) => ({ name: entry.text(NAMED.name) ?? '', tensor: entry.int32(NAMED.tensor) }));
}
