import { statSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { countOps } from '../../../agent/quantize/report.ts';
import type { Scheme } from '../../../agent/contracts/scheme.ts';
import type { TfliteModel } from '../../../agent/model/tflite/types.ts';
import { quantizeStatic } from '../../../agent/quantize/tflite/static.ts';
import type { Feeds } from '../../../agent/runtime/types.ts';
import { corpusPath, corpusTflite, describeWithCorpus } from '../../support/corpus.ts';
import { readNpz } from '../../support/read-npz.ts';
import { floats, sqnr } from '../support.ts';
import { made, openModel, sampleFor } from './any-model.ts';
import { STATIC, observe, runAll } from './support.ts';

const MAX_BYTES = 600_000;
// Without a corpus there is a placeholder, which is no file.
const isSmall = (path: string) => path !== '' && statSync(path).size < MAX_BYTES;

describeWithCorpus('corpus', () => {
  // The large ones take minutes on kernels that show every tensor.
  const files = corpusTflite('models', 'models/aeq').filter(([, path]) => isSmall(path));

  test.each([
    ['where it pays', STATIC],
    ['integers only', { ...STATIC, integerOnly: true }],
  ] as const)(
    'every model quantizes and runs, or is refused in words: %s',
    async (_, scheme: Scheme) => {
      let count = 0;
      for (const [, path] of files) {
        const model = openModel(path);
        // oxlint-disable-next-line no-await-in-loop -- one run after the other
        const feeds = await sampleFor(model);
        if (feeds === undefined) continue;
        // oxlint-disable-next-line no-await-in-loop
        const statistics = await observe(model, [feeds]);
        const quantized = made(() => quantizeStatic(model, statistics, scheme).model);
        if (quantized === undefined) continue;
        count += 1;
        // oxlint-disable-next-line no-await-in-loop
        expect(await runAll(quantized, [feeds])).toHaveLength(1);
      }
      expect(count).toBeGreaterThan(20);
    },
    120_000,
  );

  test('a ResNet is closer to float than the INT8 file that its authors published', async () => {
    const model = openModel(corpusPath('models/mlptiny_ic_resnet_fp32.tflite'));
    const [images] = Object.values(await readNpz(corpusPath('data/cifar10_input_1.npz')));
    const feeds = Array.from({ length: 60 }, (_, i): Feeds => {
      const data = Float32Array.from(images!.bytes.subarray(i * 3072, (i + 1) * 3072));
      return { input_1: { dtype: 'float32', shape: [1, 32, 32, 3], data } };
    });
    const [calibration, evaluation] = [feeds.slice(0, 30), feeds.slice(30)];
    const { model: quantized, ops } = quantizeStatic(
      model,
      await observe(model, calibration),
      STATIC,
    );
    expect(countOps(ops)).toEqual({ integer: 15, fp16: 0, float: 1 });
    const reference = await runAll(model, evaluation);
    const to = async (other: TfliteModel) => {
      const all = (list: typeof reference) =>
        Float32Array.from(list.flatMap((one) => [...floats(Object.values(one)[0]!.data)]));
      const fed = evaluation.map(({ input_1: x }) => ({ [inputName(other)]: x! }));
      return sqnr(all(reference), all(await runAll(other, fed)));
    };
    const published = await to(openModel(corpusPath('models/mlptiny_ic_resnet_int8.tflite')));
    expect(await to(quantized)).toBeGreaterThan(published + 2);
  }, 60_000);
});

const inputName = ({ subgraphs: [graph] }: TfliteModel) => graph!.tensors[graph!.inputs[0]!]!.name;
