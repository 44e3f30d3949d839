import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { openOnnx } from '../../../../agent/model/onnx/open.ts';
import { adoptQuantized } from '../../../../agent/quantize/onnx/adopt/adopt.ts';
import type { Tensor } from '../../../../agent/runtime/types.ts';
import { corpusPath, describeWithCorpus } from '../../../support/corpus.ts';
import { readNpz } from '../../../support/read-npz.ts';
import type { NpyArray } from '../../../support/read-npz.ts';
import { floats, kernelsOf, run, sqnr } from '../../support.ts';

const U8 = { activations: 'u8' } as const;
const LIMIT_MS = 60_000;
const open = (name: string) =>
  openOnnx(readFileSync(corpusPath('models', 'others', `${name}.onnx`)));

function tensorOf({ bytes, shape }: NpyArray): Tensor & { readonly data: Float32Array } {
  const data = new Float32Array(Uint8Array.from(bytes).buffer);
  return { dtype: 'float32', shape, data };
}

describeWithCorpus('models that others have quantized', () => {
  test(
    'PyTorch QAT: every convolution in an integer kernel, at the accuracy of its own graph',
    async () => {
      const arrays = await readNpz(corpusPath('data', 'qat_pytorch_reference.npz'));
      const [input, reference] = [tensorOf(arrays['x']!), tensorOf(arrays['q']!)];
      const before = open('qat_pytorch_fakequant');
      const { model } = adoptQuantized(before, U8);
      const [written, { logits }] = [
        await run(before, { input }, 'disabled'),
        await run(model, { input }),
      ];
      expect(sqnr(reference.data, floats(logits?.data))).toBeGreaterThan(35);
      expect(sqnr(floats(written['logits']?.data), floats(logits?.data))).toBeGreaterThan(35);
      const kernels = await kernelsOf(model, { input });
      expect(kernels.filter((op) => op === 'QLinearConv')).toHaveLength(5);
      expect(kernels.filter((op) => /Conv|Div|BatchNormalization/.test(op))).toHaveLength(5);
    },
    LIMIT_MS,
  );

  test.each([
    ['mobilenet_v1_025_224_ort_qdq_u8s8', 'qdq'],
    ['lprnet_chinese_ort_qdq_u8s8', 'qdq'],
    ['mlptiny_ic_resnet_ort_qdq_u8s8', 'qdq'],
    ['mlptiny_ks_int8_qop', 'qoperator'],
    ['mnist_5x5_mlp_dynint8', 'dynamic'],
    ['stories260k_ort_dynint8', 'dynamic'],
  ])('%s is in its best form: kept', (name, kind) => {
    const before = open(name);
    const adopted = adoptQuantized(before, U8);
    expect(adopted).toMatchObject({ kind, changes: [] });
    expect(adopted.model).toBe(before);
  });

  test.each([
    ['espcn_bsd300_nnresize_qonnx', []],
    // Its input is not quantized, so the first convolution stays in float.
    ['espcn_bsd300_subpixel_qonnx', ['Conv_5']],
  ])(
    '%s: Quant nodes become integer kernels',
    async (name, left) => {
      const { model, ops } = adoptQuantized(open(name), U8);
      const float = ops.filter(({ precision }) => precision === 'float');
      expect(float.map(({ node }) => node)).toEqual(left);
      const [input] = model.graph.input;
      const data = Float32Array.from({ length: 3 * 128 * 128 }, (_, i) => (i % 97) / 97);
      const x = { dtype: 'float32', shape: [1, 3, 128, 128], data } as const;
      const kernels = await kernelsOf(model, { [input?.name ?? '']: x });
      expect(kernels.filter((op) => op === 'QLinearConv')).toHaveLength(4 - left.length);
    },
    LIMIT_MS,
  );

  test('thresholds of FINN are refused with the reason', () => {
    expect(() => adoptQuantized(open('finn_tfc_build_dataflow'), U8)).toThrow(
      /MultiThreshold 'MultiThreshold_0' cannot be converted: onnxruntime has no such operator/,
    );
  });
});
