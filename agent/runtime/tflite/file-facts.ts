import { endsShort } from '../../model/tflite/short-windows.ts';
import { messageOf } from '../../util/errors.ts';
import { RuntimeFailure } from '../errors.ts';
import { FlatTable } from './flat-table.ts';
import { PagedFile } from './paged-file.ts';

/*
 * What the C API does not tell about a model: which dimensions are open, which tensors keep their
 * values from one run to the next, what the signatures call inputs and outputs, whether something is
 * computed for nobody, and whether XNNPACK would compute it wrongly. Field numbers are those of the format's schema
 * (tensorflow/lite/schema/schema.fbs, version 3).
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
  /** Whether a convolution of any subgraph is one that XNNPACK computes wrongly (short-windows.ts). */
  readonly hasShortWindows: boolean;
  readonly signatures: readonly SignatureFacts[];
}

const IDENTIFIER = 'TFL3';
const IDENTIFIER_AT = 4;

const MODEL = { operatorCodes: 1, subgraphs: 2, signatures: 7 } as const;
const SUBGRAPH = { tensors: 0, inputs: 1, outputs: 2, operators: 3 } as const;
const OPERATOR_CODE = { formerly: 0, builtin: 3 } as const;
const OPERATOR = { code: 0, inputs: 1, outputs: 2, options: 4 } as const;
const TENSOR = { shape: 0, name: 3, isVariable: 5, shapeSignature: 7 } as const;
const SIGNATURE = { inputs: 0, outputs: 1, key: 2, subgraph: 4 } as const;
const NAMED = { name: 0, tensor: 1 } as const;

/** Reads them from a model file. Throws INVALID_MODEL when it is none. */
export function readFileFacts(path: string): FileFacts {
  const file = new PagedFile(path);
  try {
    if (file.bytes < 8 || file.text(IDENTIFIER_AT, 4) !== IDENTIFIER) {
      throw new RangeError('it does not begin like one');
    }
    return factsOf(FlatTable.root(file));
  } catch (error) {
    const message = `cannot load ${path}: not a TFLite model, or cut short (${messageOf(error)})`;
    throw new RuntimeFailure('INVALID_MODEL', message, { cause: error });
  } finally {
    file.close();
  }
}

function factsOf(model: FlatTable): FileFacts {
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
    hasShortWindows: hasShortWindows(model, subgraphs),
    signatures: model.tables(MODEL.signatures).map((signature) => ({
      key: signature.text(SIGNATURE.key) ?? '',
      subgraph: signature.int32(SIGNATURE.subgraph),
      inputs: namedIn(signature, SIGNATURE.inputs),
      outputs: namedIn(signature, SIGNATURE.outputs),
    })),
  };
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

/** Fields of the options of CONV_2D and DEPTHWISE_CONV_2D; padding SAME is 0. */
const CONVOLUTIONS: ReadonlyMap<
  number,
  Readonly<Record<'dilationW' | 'dilationH', number>>
> = new Map([
  [3, { dilationW: 4, dilationH: 5 }],
  [4, { dilationW: 5, dilationH: 6 }],
]);
const WINDOW = { padding: 0, strideW: 1, strideH: 2 } as const;

function hasShortWindows(model: FlatTable, subgraphs: readonly FlatTable[]): boolean {
  const codes = model
    .tables(MODEL.operatorCodes)
    .map((one) => Math.max(one.int8(OPERATOR_CODE.formerly), one.int32(OPERATOR_CODE.builtin)));
  return subgraphs.some((graph) => {
    const tensors = graph.tables(SUBGRAPH.tensors);
    return graph.tables(SUBGRAPH.operators).some((operator) => {
      const fields = CONVOLUTIONS.get(codes[operator.int32(OPERATOR.code)] ?? -1);
      const options = operator.table(OPERATOR.options);
      if (fields === undefined || options === null) return false;
      if (options.int8(WINDOW.padding) !== 0) return false;
      const [input, filter] = (operator.ints(OPERATOR.inputs) ?? []).map(
        (at) => tensors[at]?.ints(TENSOR.shape) ?? [],
      );
      const [, height = 0, width = 0] = filter ?? [];
      if (input?.length !== 4 || height * width <= 1) return false;
      const reach = (taps: number, dilation: number) => (taps - 1) * dilation + 1;
      return [
        {
          size: input[1] ?? 0,
          stride: options.int32(WINDOW.strideH),
          reach: reach(height, options.int32(fields.dilationH, 1)),
        },
        {
          size: input[2] ?? 0,
          stride: options.int32(WINDOW.strideW),
          reach: reach(width, options.int32(fields.dilationW, 1)),
        },
      ].some((axis) => axis.stride > 0 && endsShort(axis));
    });
  });
}

function namedIn(signature: FlatTable, field: number): readonly NamedIndex[] {
  return signature
    .tables(field)
    .map((entry) => ({ name: entry.text(NAMED.name) ?? '', tensor: entry.int32(NAMED.tensor) }));
}
