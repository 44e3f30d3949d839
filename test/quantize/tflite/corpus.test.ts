import { readFileSync, statSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { countOps } from '../../../agent/quantize/report.ts';
import type { Scheme } from '../../../agent/contracts/scheme.ts';
import { openTflite } from '../../../agent/model/tflite/open.ts';
import type { TfliteModel } from '../../../agent/model/tflite/types.ts';
import { QuantizeError } from '../../../agent/quantize/errors.ts';
import { quantizeStatic } from '../../../agent/quantize/tflite/static.ts';
import { RuntimeFailure } from '../../../agent/runtime/errors.ts';
import type { Feeds, Tensor, TensorDescription } from '../../../agent/runtime/types.ts';
import { corpusPath, corpusTflite, describeWithCorpus } from '../../support/corpus.ts';
import { readNpz } from '../../support/read-npz.ts';
import { floats, randomTensor, randoms, sqnr } from '../support.ts';
import { STATIC, observe, runAll, withSession } from './support.ts';

const MAX_BYTES = 600_000;
// Without a corpus there is a placeholder, which is no file.
const isSmall = (path: string) => path !== '' && statSync(path).size < MAX_BYTES;
const openFile = (path: string) => openTflite(readFileSync(path));

const REFUSALS: ReadonlySet<string> = new Set([
  'ALREADY_QUANTIZED',
  'NOTHING_TO_QUANTIZE',
  'NOT_INTEGER',
]);

/** The model, or undefined where it is refused in words. */
function made(make: () => TfliteModel): TfliteModel | undefined {
  try {
    return make();
  } catch (error) {
    if (error instanceof QuantizeError && REFUSALS.has(error.code)) return undefined;
    throw error;
  }
}

/** A random sample; undefined where the library itself cannot run the model with one. */
async function sampleFor(model: TfliteModel): Promise<Feeds | undefined> {
  const next = randoms(17);
  try {
    const { inputs } = await withSession(model, 'plain', async (session) => session.describe());
    const places = slicePlaces(model);
    const feeds = Object.fromEntries(
      inputs.map((one) => [one.name, places.get(one.name) ?? randomInput(one, next)]),
    );
    await runAll(model, [feeds], 'plain');
    return feeds;
  } catch (error) {
    if (error instanceof RuntimeFailure) return undefined;
    throw error;
  }
}

/**
 * Where SLICE begins and how much it takes, for inputs that say so. Its kernel reads one number per
 * axis of what it slices, also behind the end of a shorter input: the declared size of an open one is 1.
 */
function slicePlaces({ subgraphs: [graph] }: TfliteModel): ReadonlyMap<string, Tensor> {
  const slices = graph!.operators.filter(({ op }) => op === 'SLICE');
  return new Map(
    slices.flatMap(({ inputs: [sliced = -1, ...places] }) => {
      const axes = graph!.tensors[sliced]!.shape.length;
      return places
        .filter((at) => graph!.inputs.includes(at))
        .map((at, i): [string, Tensor] => [
          graph!.tensors[at]!.name,
          { dtype: 'int32', shape: [axes], data: new Int32Array(axes).fill(i) },
        ]);
    }),
  );
}

function randomInput({ dtype, shape: open }: TensorDescription, next: () => number): Tensor {
  const shape = open.map((size) => (typeof size === 'number' ? size : 1));
  const random = randomTensor(next, shape);
  if (dtype === 'bool') return { dtype, shape, data: Uint8Array.from(floats(random.data), Number) };
  if (dtype === 'int32')
    return { dtype, shape, data: Int32Array.from(floats(random.data), () => 0) };
  return random;
}

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
        const model = openFile(path);
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
    const model = openFile(corpusPath('models/mlptiny_ic_resnet_fp32.tflite'));
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
    const published = await to(openFile(corpusPath('models/mlptiny_ic_resnet_int8.tflite')));
    expect(await to(quantized)).toBeGreaterThan(published + 2);
  }, 60_000);
});

const inputName = ({ subgraphs: [graph] }: TfliteModel) => graph!.tensors[graph!.inputs[0]!]!.name;
