import { readFileSync, statSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { summarizeTflite } from '../../agent/fit/summary-tflite.ts';
import { openTflite } from '../../agent/model/tflite/open.ts';
import { corpusPath, describeWithCorpus } from '../support/corpus.ts';
import { add, constant, tinyTflite, value } from '../support/tflite-models.ts';

test('a model of one addition', () => {
  const model = tinyTflite({
    tensors: [
      value('x'),
      constant('w', Float32Array.of(1, 2)),
      value('y'),
      value('n', [1], 'INT32'),
    ],
    inputs: [0, 3],
    outputs: [2],
    operators: [add(0, 1, 2)],
  });
  expect(summarizeTflite(model, { name: 'one', bytes: 123 })).toEqual({
    name: 'one',
    format: 'tflite',
    bytes: 123,
    opCounts: new Map([['ADD', 1]]),
    weightBytes: 8,
    hasRecurrent: false,
    hasConv: false,
    hasMatMul: false,
    alreadyQuantized: false,
    precision: 'fp32',
    floatInputs: ['x'],
  });
});

describeWithCorpus('the corpus', () => {
  const summary = (name: string) => {
    const path = corpusPath(`models/${name}.tflite`);
    const bytes = statSync(path).size;
    return summarizeTflite(openTflite(readFileSync(path)), { name, bytes });
  };

  test.each([
    ['mlptiny_ic_resnet_fp32', 'fp32', false, true, true, false],
    ['mlptiny_ic_resnet_int8', 'int8', true, true, true, false],
    ['mlptiny_kws_fp32', 'int8', false, true, true, false],
    ['mnist_lstm_fp32', 'fp32', false, false, true, true],
    ['mp_face_detection_full_range', 'fp16', false, true, false, false],
    ['aeq/mnist_quantized', 'int8', false, true, true, false],
    ['others/keyword_scrambled_int8', 'int8', true, false, true, true],
    ['others/mobilenet_v1_025_128_quant_edgetpu', 'int8', true, false, false, false],
  ] as const)(
    '%s: %s, quantized %s, convolutions %s, products %s, recurrent %s',
    (name, precision, alreadyQuantized, hasConv, hasMatMul, hasRecurrent) => {
      const found = summary(name);
      expect(found).toMatchObject({
        precision,
        alreadyQuantized,
        hasConv,
        hasMatMul,
        hasRecurrent,
      });
      expect(found.weightBytes).toBeLessThan(found.bytes);
    },
  );

  test('float inputs go by their names', () => {
    expect(summary('dtln_1_fp32').floatInputs).toEqual(['input_2', 'input_3']);
    expect(summary('mlptiny_ic_resnet_int8').floatInputs).toEqual([]);
  });
});
