import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { contentsOf } from '../../../agent/model/tflite/contents.ts';
import { openTflite } from '../../../agent/model/tflite/open.ts';
import { makeOperator, makeQuantization } from '../../../agent/model/tflite/types.ts';
import { corpusPath, describeWithCorpus } from '../../support/corpus.ts';
import { add, constant, tinyTflite, value } from '../../support/tflite-models.ts';
import { sampleModel } from './sample.ts';

test('values, operators, parameters, and what stands around the model', () => {
  const contents = contentsOf(sampleModel());
  expect(contents).toMatchObject({
    irVersion: 3,
    producer: 'made by hand',
    inputs: [
      { name: 'x', dtype: 'float32', shape: [1, 4] },
      { name: 'flag', dtype: 'bool', shape: [] },
    ],
    outputs: [{ name: 'out', dtype: 'float32' }],
    signatures: [{ key: 'serving_default', inputs: ['x'], outputs: ['out'] }],
    metadata: [{ name: 'min_runtime_version', bytes: 8 }],
    associatedFiles: ['labels.txt'],
    subgraphs: [
      { name: 'main', operators: 3 },
      { name: 'then', operators: 1 },
      { name: 'else', operators: 1 },
    ],
    form: null,
  });
  // 4 floats that two tensors share, counted once, and read by the ADD.
  expect(contents.ops[0]).toEqual({ op: 'ADD', nodes: 1, parameters: 4, parameterBytes: 16 });
  expect(contents.layers).toEqual([{ node: 'y', op: 'ADD', parameters: 4, parameterBytes: 16 }]);
});

test('weights behind a DEQUANTIZE belong to the layer that computes with them', () => {
  const model = tinyTflite({
    tensors: [
      { ...value('x', [1, 4]), shapeSignature: [-1, 4] },
      { ...constant('w', Int8Array.of(1, 2, 3, 4)), quantization: makeQuantization([0.5], [0]) },
      value('f', [4]),
      { ...value('y', [1, 4], 'INT8'), quantization: makeQuantization([0.25], [-3]) },
    ],
    inputs: [0],
    outputs: [3],
    operators: [makeOperator({ op: 'DEQUANTIZE', inputs: [1], outputs: [2] }), add(0, 2, 3)],
  });
  const contents = contentsOf(model);
  expect(contents.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: [null, 4] }]);
  expect(contents.outputs[0]?.quantization).toEqual({ scale: 0.25, zeroPoint: -3 });
  expect(contents.layers).toEqual([{ node: 'y', op: 'ADD', parameters: 4, parameterBytes: 4 }]);
  expect(contents.parameters).toEqual([{ dtype: 'int8', count: 4, bytes: 4 }]);
  expect(contents.form).toBe('qoperator');
});

describeWithCorpus('the corpus', () => {
  const contents = (name: string) =>
    contentsOf(openTflite(readFileSync(corpusPath(`models/${name}.tflite`))));

  test('a classifier with labels', () => {
    const found = contents('others/coral_mobilenet_v1_025_128_quant');
    expect(found.associatedFiles).toEqual(['imagenet_labels.txt']);
    expect(found.metadata.map(({ name }) => name)).toEqual([
      'min_runtime_version',
      'TFLITE_METADATA',
    ]);
    expect(found.inputs).toMatchObject([
      { name: 'input', dtype: 'uint8', shape: [1, 128, 128, 3] },
    ]);
    expect(found.inputs[0]?.quantization?.scale).toBeCloseTo(1 / 128, 4);
    expect(found.ops.find(({ op }) => op === 'DEPTHWISE_CONV_2D')?.nodes).toBe(13);
  });

  test.each([
    ['mlptiny_ic_resnet_fp32', null],
    ['mlptiny_ic_resnet_int8', 'qoperator'],
    ['dtln_1_dynquant', 'dynamic'],
    ['aeq/mnist_quantized', 'weight-only'],
    ['mp_face_detection_full_range', null],
    ['others/split_concat_edgetpu', 'qoperator'],
  ])('the form of %s is %s', (name, form) => {
    expect(contents(name).form).toBe(form);
  });
});
