import { makeOperator } from '../../../agent/model/tflite/types.ts';
import type {
  TfliteModel,
  TfliteOperator,
  TfliteTensor,
} from '../../../agent/model/tflite/types.ts';
import { constant, tinyTflite, value } from '../../support/tflite-models.ts';

/** Values that are easy to follow: 0, 1, 2, ... in steps. */
export const ramp = (length: number, step = 1, from = 0) =>
  Float32Array.from({ length }, (_, index) => from + index * step);

export const weights = (name: string, shape: readonly number[], values?: Float32Array) =>
  constant(
    name,
    values ??
      ramp(
        shape.reduce((a, b) => a * b, 1),
        0.001,
        -0.5,
      ),
    { shape },
  );

export function conv(inputs: readonly number[], output: number): TfliteOperator {
  return makeOperator({
    op: 'CONV_2D',
    inputs,
    outputs: [output],
    options: {
      kind: 'Conv2DOptions',
      padding: 'SAME',
      strideW: 1,
      strideH: 1,
      fusedActivationFunction: 'NONE',
      dilationWFactor: 1,
      dilationHFactor: 1,
      quantizedBiasType: 'FLOAT32',
    },
  });
}

export function depthwise(inputs: readonly number[], output: number): TfliteOperator {
  return makeOperator({
    op: 'DEPTHWISE_CONV_2D',
    inputs,
    outputs: [output],
    options: {
      kind: 'DepthwiseConv2DOptions',
      padding: 'SAME',
      strideW: 1,
      strideH: 1,
      depthMultiplier: 1,
      fusedActivationFunction: 'NONE',
      dilationWFactor: 1,
      dilationHFactor: 1,
    },
  });
}

export function dense(
  inputs: readonly number[],
  output: number,
  fields: Partial<TfliteOperator> = {},
): TfliteOperator {
  return makeOperator({
    op: 'FULLY_CONNECTED',
    inputs,
    outputs: [output],
    options: {
      kind: 'FullyConnectedOptions',
      fusedActivationFunction: 'NONE',
      weightsFormat: 'DEFAULT',
      keepNumDims: false,
      asymmetricQuantizeInputs: false,
      quantizedBiasType: 'FLOAT32',
    },
    ...fields,
  });
}

export function batchMatMul(
  inputs: readonly number[],
  output: number,
  { adjX = false, adjY = false } = {},
): TfliteOperator {
  return makeOperator({
    op: 'BATCH_MATMUL',
    inputs,
    outputs: [output],
    options: { kind: 'BatchMatMulOptions', adjX, adjY, asymmetricQuantizeInputs: false },
  });
}

export const plain = (op: TfliteOperator['op'], inputs: readonly number[], output: number) =>
  makeOperator({ op, inputs, outputs: [output] });

/** A model of one input, weights and one operator. */
export function oneLayer(
  tensors: readonly TfliteTensor[],
  operator: (inputs: readonly number[], output: number) => TfliteOperator,
): TfliteModel {
  const last = tensors.length - 1;
  const inputs = tensors.map((_, index) => index).slice(0, last);
  return tinyTflite({ tensors, inputs: [0], outputs: [last], operators: [operator(inputs, last)] });
}

/** A convolution of 32 filters, a product with 40 outputs, and a product too small to touch. */
export function smallNet(): TfliteModel {
  return tinyTflite({
    tensors: [
      value('image', [1, 4, 4, 8]),
      weights('filters', [32, 3, 3, 8]),
      weights('filter bias', [32]),
      value('features', [1, 4, 4, 32]),
      value('flat', [1, 512]),
      weights('dense', [40, 512]),
      value('hidden', [1, 40]),
      weights('small', [3, 40]),
      value('scores', [1, 3]),
      constant('shape', Int32Array.of(1, 512)),
    ],
    inputs: [0],
    outputs: [8],
    operators: [
      conv([0, 1, 2], 3),
      plain('RESHAPE', [3, 9], 4),
      dense([4, 5, -1], 6),
      dense([6, 7, -1], 8),
    ],
  });
}

export const tensorNamed = (model: TfliteModel, name: string): TfliteTensor => {
  const found = model.subgraphs.flatMap(({ tensors }) => tensors).find((one) => one.name === name);
  if (found === undefined) throw new Error(`no tensor ${name}`);
  return found;
};

/** `CONV_2D.5(image, filters_int8, filter bias) -> features` */
export function listing(model: TfliteModel, subgraph = 0): string[] {
  const graph = model.subgraphs[subgraph]!;
  const names = (list: readonly number[]) =>
    list.map((index) => (index < 0 ? '-' : graph.tensors[index]!.name)).join(', ');
  return graph.operators.map(
    ({ op, version, inputs, outputs }) => `${op}.${version}(${names(inputs)}) -> ${names(outputs)}`,
  );
}
