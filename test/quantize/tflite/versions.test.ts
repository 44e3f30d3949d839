import { expect, test } from '@jest/globals';
import { makeOperator, makeQuantization } from '../../../agent/model/tflite/types.ts';
import type { OperatorOptions, TfliteOperator } from '../../../agent/model/tflite/types.ts';
import {
  dequantizeVersion,
  gatherVersion,
  hybridVersion,
} from '../../../agent/quantize/tflite/versions.ts';
import { constant, value } from '../../support/tflite-models.ts';

const stored = (scales: number) => ({
  ...constant('w', new Int8Array(4)),
  quantization: makeQuantization(Array(scales).fill(1), Array(scales).fill(0)),
});

const asymmetric = (kind: string, asymmetricQuantizeInputs = true) =>
  ({ kind, asymmetricQuantizeInputs }) as unknown as OperatorOptions;

// tensorflow/lite/tools/versioning/op_version.cc
test.each<[TfliteOperator['op'], string | null, boolean, number, number]>([
  ['CONV_2D', null, false, 1, 2],
  ['CONV_2D', null, false, 8, 5],
  ['DEPTHWISE_CONV_2D', null, false, 1, 4],
  ['DEPTHWISE_CONV_2D', null, false, 8, 6],
  ['FULLY_CONNECTED', 'FullyConnectedOptions', false, 1, 3],
  ['FULLY_CONNECTED', 'FullyConnectedOptions', true, 1, 9],
  ['FULLY_CONNECTED', 'FullyConnectedOptions', true, 8, 12],
  ['BATCH_MATMUL', 'BatchMatMulOptions', false, 1, 1],
  ['BATCH_MATMUL', 'BatchMatMulOptions', true, 1, 4],
  ['SVDF', 'SVDFOptions', false, 1, 2],
  ['SVDF', 'SVDFOptions', true, 1, 4],
  ['LSTM', 'LSTMOptions', false, 1, 3],
  ['LSTM', 'LSTMOptions', true, 1, 4],
  ['UNIDIRECTIONAL_SEQUENCE_LSTM', 'UnidirectionalSequenceLSTMOptions', false, 1, 2],
  ['UNIDIRECTIONAL_SEQUENCE_LSTM', 'UnidirectionalSequenceLSTMOptions', true, 1, 3],
  ['BIDIRECTIONAL_SEQUENCE_LSTM', 'BidirectionalSequenceLSTMOptions', true, 1, 3],
  ['RNN', 'RNNOptions', false, 1, 2],
  ['RNN', 'RNNOptions', true, 1, 3],
  ['UNIDIRECTIONAL_SEQUENCE_RNN', 'SequenceRNNOptions', true, 1, 3],
  ['BIDIRECTIONAL_SEQUENCE_RNN', 'BidirectionalSequenceRNNOptions', true, 1, 3],
  ['EMBEDDING_LOOKUP', null, false, 1, 3],
])(
  '%s with %s, asymmetric %s, %d scales: version %d',
  (op, kind, isAsymmetric, scales, version) => {
    const options = kind === null ? null : asymmetric(kind, isAsymmetric);
    const operator = makeOperator({ op, inputs: [], outputs: [], options });
    expect(hybridVersion(operator, stored(scales))).toBe(version);
    expect(hybridVersion({ ...operator, version: 20 }, stored(scales))).toBe(20);
  },
);

test.each([
  ['INT8', 1, 2],
  ['INT8', 4, 5],
  ['FLOAT16', 0, 3],
  ['INT16', 1, 3],
  ['UINT8', 1, 1],
  ['INT4', 1, 6],
] as const)('DEQUANTIZE of %s with %d scales: version %d', (type, scales, version) => {
  expect(
    dequantizeVersion({ ...value('w', [4], type), quantization: stored(scales).quantization }),
  ).toBe(version);
});

test.each([
  [0, 2],
  [1, 5],
])('GATHER with %d batch axes: version %d', (batchDims, version) => {
  const options = { kind: 'GatherOptions', axis: 0, batchDims } as const;
  expect(gatherVersion(makeOperator({ op: 'GATHER', inputs: [], outputs: [], options }))).toBe(
    version,
  );
});
