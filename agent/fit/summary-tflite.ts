import type { Precision } from '../contracts/facts.ts';
import { allOperators } from '../model/tflite/calls.ts';
import { inputTensor, opName } from '../model/tflite/graph.ts';
import { isFloatType } from '../model/tflite/numeric-kind.ts';
import { parametersOf } from '../model/tflite/parameters.ts';
import { isConstant } from '../model/tflite/tensor.ts';
import { uniqueTensorNames } from '../model/tflite/tensor-names.ts';
import type { TfliteModel } from '../model/tflite/types.ts';
import { isQuantizedTflite, recognizeTflite } from '../quantize/tflite/recognize.ts';
import type { ModelSummary } from './types.ts';

const RECURRENT = /(LSTM|RNN)$|^SVDF$/;
const CONVOLUTIONS: readonly string[] = [
  'CONV_2D',
  'DEPTHWISE_CONV_2D',
  'TRANSPOSE_CONV',
  'CONV_3D',
  'CONV_3D_TRANSPOSE',
];
const PRODUCTS: readonly string[] = ['FULLY_CONNECTED', 'BATCH_MATMUL'];

/** What planning needs to know about a .tflite model; looks into called subgraphs, too. */
export function summarizeTflite(
  model: TfliteModel,
  file: { readonly name: string; readonly bytes: number },
): ModelSummary {
  const opCounts = new Map<string, number>();
  for (const { operator } of allOperators(model)) {
    opCounts.set(opName(operator), (opCounts.get(opName(operator)) ?? 0) + 1);
  }
  const weights = weightTypes(model);
  const alreadyQuantized = isQuantizedTflite(model);
  const { kind, words } = recognizeTflite(model);
  return {
    name: file.name,
    format: 'tflite',
    bytes: file.bytes,
    opCounts,
    weightBytes: [...weights.values()].reduce((sum, bytes) => sum + bytes, 0),
    hasRecurrent: [...opCounts.keys()].some((op) => RECURRENT.test(op)),
    hasConv: CONVOLUTIONS.some((op) => opCounts.has(op)),
    hasMatMul: hasConstantProduct(model),
    alreadyQuantized,
    ...(kind === 'float' ? {} : { form: words }),
    precision: alreadyQuantized ? 'int8' : precisionOf(weights),
    floatInputs: floatInputs(model),
  };
}

type Weights = 'float32' | 'float16' | 'int8' | 'other';

/** Bytes of constants by kind of element, shared ones once. */
function weightTypes(model: TfliteModel): ReadonlyMap<Weights, number> {
  const bytes = new Map<Weights, number>();
  for (const { tensor, bytes: size } of parametersOf(model)) {
    const { type, quantization } = tensor;
    const isStored = (quantization?.scale.length ?? 0) > 0;
    const kind: Weights =
      type === 'FLOAT16' || type === 'BFLOAT16'
        ? 'float16'
        : isFloatType(type)
          ? 'float32'
          : isStored
            ? 'int8'
            : 'other';
    bytes.set(kind, (bytes.get(kind) ?? 0) + size);
  }
  return bytes;
}

/** Counted in values, not in bytes: what most weights are stored as. */
function precisionOf(weights: ReadonlyMap<Weights, number>): Precision {
  const values = {
    fp32: (weights.get('float32') ?? 0) / 4,
    fp16: (weights.get('float16') ?? 0) / 2,
    int8: weights.get('int8') ?? 0,
  };
  if (values.int8 > values.fp16 && values.int8 > values.fp32) return 'int8';
  return values.fp16 > values.fp32 ? 'fp16' : 'fp32';
}

/** A matrix product one of whose factors is not computed from the input. */
function hasConstantProduct(model: TfliteModel): boolean {
  return model.subgraphs.some((graph) => {
    const decoded = new Set(
      graph.operators.flatMap(({ op, inputs, outputs }) => {
        const stored = graph.tensors[inputs[0] ?? -1];
        return op === 'DEQUANTIZE' && stored !== undefined && isConstant(stored) ? outputs : [];
      }),
    );
    return graph.operators.some((operator) => {
      const factor = inputTensor(graph, operator, 1);
      const isKnown = factor !== undefined && isConstant(factor);
      return PRODUCTS.includes(operator.op) && (isKnown || decoded.has(operator.inputs[1] ?? -1));
    });
  });
}

function floatInputs(model: TfliteModel): readonly string[] {
  const [main] = model.subgraphs;
  if (main === undefined) return [];
  const names = uniqueTensorNames(main);
  return main.inputs
    .filter((index) => isFloatType(main.tensors[index]?.type ?? 'INT32'))
    .map((index) => names[index] ?? '');
}
