import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { expect, test } from '@jest/globals';
import { schemePresets } from '../../../agent/contracts/scheme.ts';
import { openTflite } from '../../../agent/model/tflite/open.ts';
import { makeOperator } from '../../../agent/model/tflite/types.ts';
import { quantizeDynamic } from '../../../agent/quantize/tflite/dynamic.ts';
import { toFp16 } from '../../../agent/quantize/tflite/fp16.ts';
import {
  isQuantizedTflite,
  recognizeTflite,
  refuseQuantized,
} from '../../../agent/quantize/tflite/recognize.ts';
import { quantizeWeights } from '../../../agent/quantize/tflite/weight-only.ts';
import { corpusTflite, describeWithCorpus } from '../../support/corpus.ts';
import { tinyTflite, value } from '../../support/tflite-models.ts';
import { plain, smallNet } from './layers.ts';

test('what our own schemes make is recognised, and may be quantized further', () => {
  const kinds = [
    smallNet(),
    quantizeDynamic(smallNet(), schemePresets['int8-dynamic']).model,
    quantizeWeights(smallNet(), schemePresets['weight-int8']).model,
    toFp16(smallNet(), schemePresets.fp16).model,
  ];
  expect(kinds.map((model) => recognizeTflite(model).kind)).toEqual([
    'float',
    'dynamic-range',
    'weight-only',
    'float16-weights',
  ]);
  expect(kinds.map(isQuantizedTflite)).toEqual([false, false, false, false]);
  expect(recognizeTflite(kinds[1]!)).toMatchObject({
    words: '8-bit weights, activations quantized while it runs; in float: 1 FULLY_CONNECTED',
    counts: { integer: 0, hybrid: 2, float: 4, conversion: 0, other: 0 },
  });
});

test('a model that was trained with FAKE_QUANT', () => {
  const model = tinyTflite({
    tensors: [value('x'), value('a'), value('y')],
    inputs: [0],
    outputs: [2],
    operators: [
      makeOperator({
        op: 'FAKE_QUANT',
        inputs: [0],
        outputs: [1],
        options: { kind: 'FakeQuantOptions', min: 0, max: 1, numBits: 8, narrowRange: false },
      }),
      plain('RELU', [1], 2),
    ],
  });
  expect(recognizeTflite(model).kind).toBe('fake-quant');
  expect(isQuantizedTflite(model)).toBe(false);
});

/** Those of the corpus that are not plain float models, by what the index says of them. */
const KINDS: Readonly<Record<string, string>> = {
  dtln_1_dynquant: 'dynamic-range',
  hello_world_int8: 'int8',
  mlptiny_ad01_int8: 'int8',
  mlptiny_ic_resnet_int8: 'int8',
  mlptiny_kws_fp32: 'dynamic-range',
  mlptiny_kws_int8: 'int8',
  mnist_lstm_int8: 'int8',
  mp_face_detection_full_range: 'float16-weights',
  automl_labeler_uint8: 'uint8',
  coral_deeplabv3_dm05_pascal_quant: 'uint8',
  coral_keras_lstm_mnist_ptq: 'int8',
  coral_mobilenet_v1_025_128_quant: 'uint8',
  coral_split_concat: 'uint8',
  deeplabv3_dm05_pascal_quant_edgetpu: 'edgetpu-compiled',
  dtln_noise_suppression_tflm: 'int8',
  keras_lstm_mnist_ptq_edgetpu: 'edgetpu-compiled',
  keyword_scrambled_8bit: 'int8',
  keyword_scrambled_int8: 'int8',
  lenet300_mnist_ptq: 'int8',
  mcunet_person_detection_int8: 'int8',
  mcunet_vww_int8: 'int8',
  micro_speech_int8: 'int8',
  micro_speech_lstm_xtensa: 'int8',
  mlptiny_sww_int8: 'int8',
  mobilenet_v1_025_128_quant_edgetpu: 'edgetpu-compiled',
  mobilenet_v1_025_224_qat_uint8: 'uint8',
  mp_face_detector_quantized_edgetpu: 'edgetpu-compiled',
  mww_okay_nabu_v2: 'int8',
  mww_vad_v2: 'int8',
  person_detect_int8: 'int8',
  person_detect_vela_ethosu: 'ethos-u-compiled',
  seanet_conv8_int16: 'int16x8',
  seanet_transpose_conv1_int16: 'int16x8',
  split_concat_edgetpu: 'edgetpu-compiled',
  conv_fc_mnist_srq_a8w8: 'int8',
  insert_dequant_test: 'uint8',
  mnist_quantized: 'weight-only',
  partly_quantized_mnist: 'partly-quantized',
  single_fc_bias_sub_channel_weight_only_sym_weight: 'weight-only',
  two_signatures_a8w8: 'int8',
};

describeWithCorpus('the corpus', () => {
  test.each(corpusTflite('models', 'models/others', 'models/aeq'))('%s', (name, path) => {
    const model = openTflite(readFileSync(path));
    expect(recognizeTflite(model).kind).toBe(KINDS[basename(name)] ?? 'float');
  });

  const open = (name: string) =>
    openTflite(
      readFileSync(corpusTflite('models/others').find(([one]) => one === name)?.[1] ?? ''),
    );

  test('what an Edge TPU model leaves for the CPU', () => {
    const { words, onCpu } = recognizeTflite(open('deeplabv3_dm05_pascal_quant_edgetpu'));
    expect(words).toBe(
      'compiled for the Edge TPU in one part; 8 operators left for the CPU: 3 RESIZE_BILINEAR, 1 QUANTIZE, 1 CONCATENATION, 2 CONV_2D, 1 ARG_MAX',
    );
    expect(onCpu?.get('CONV_2D')).toBe(2);
    expect(recognizeTflite(open('split_concat_edgetpu')).words).toBe(
      'compiled for the Edge TPU in one part; nothing is left for the CPU',
    );
  });

  test('custom operators are named', () => {
    expect(recognizeTflite(open('wiki40b_lm_en')).words).toBe(
      'not quantized; custom operators: FlexSentencepieceOp, FlexSentencepieceTokenizeOp, FlexRaggedTensorToTensor',
    );
  });

  test('quantizing twice is refused', () => {
    expect(() => refuseQuantized(open('micro_speech_int8'))).toThrow(
      'the model is quantized already (int8 weights and activations): give the float model',
    );
    expect(() => refuseQuantized(open('lenet300_mnist_ptq'))).toThrow(
      'int8 weights and activations; 1 operator without weights in float',
    );
  });
});
