import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { schemePresets } from '../../../../agent/contracts/scheme.ts';
import { openTflite } from '../../../../agent/model/tflite/open.ts';
import type { TfliteModel } from '../../../../agent/model/tflite/types.ts';
import { quantizeStatic } from '../../../../agent/quantize/tflite/static.ts';
import type { Feeds } from '../../../../agent/runtime/types.ts';
import { corpusPath, describeWithCorpus } from '../../../support/corpus.ts';
import { readNpz } from '../../../support/read-npz.ts';
import { tfliteBytes } from '../../../support/tflite-models.ts';
import { floats } from '../../support.ts';
import { observe, runAll } from '../support.ts';

const [CALIBRATION, EVALUATION] = [100, 400];
const TIMEOUT_MS = 60_000;

/** Digits row by row: 28 steps of 28 values each. */
async function digits(input: string): Promise<{ samples: Feeds[]; labels: number[] }> {
  const arrays = await readNpz(corpusPath('data/mnist_float.npz'));
  const { [input]: images, labels } = arrays;
  const values = new Float32Array(Uint8Array.from(images!.bytes).buffer);
  const counts = new BigInt64Array(Uint8Array.from(labels!.bytes).buffer);
  const size = 28 * 28;
  const samples = Array.from({ length: values.length / size }, (_, i): Feeds => ({
    [input]: {
      dtype: 'float32',
      shape: [1, 28, 28],
      data: values.slice(i * size, (i + 1) * size),
    },
  }));
  return { samples, labels: Array.from(counts, Number) };
}

const open = (name: string) => openTflite(readFileSync(corpusPath('models', name)));

/** What the kernel looks at of the LSTM: its version, and the types of what it reads. */
function lstmOf({ subgraphs: [graph] }: TfliteModel) {
  const one = graph!.operators.find(({ op }) => op === 'UNIDIRECTIONAL_SEQUENCE_LSTM')!;
  const typesOf = (list: readonly number[]) =>
    list.map((at) => (at < 0 ? '-' : graph!.tensors[at]!.type));
  return {
    version: one.version,
    options: one.options,
    inputs: typesOf(one.inputs),
    outputs: typesOf(one.outputs),
    intermediates: typesOf(one.intermediates),
  };
}

describeWithCorpus('an LSTM that reads digits, beside the file that its authors made', () => {
  test(
    'has the same structure and size, and is at least as accurate',
    async () => {
      const float = open('mnist_lstm_fp32.tflite');
      const [input = ''] = float.subgraphs[0]!.inputs.map(
        (at) => float.subgraphs[0]!.tensors[at]!.name,
      );
      const { samples, labels } = await digits(input);
      const statistics = await observe(float, samples.slice(0, CALIBRATION));
      const scheme = { ...schemePresets['int8-only'], activations: 's8' } as const;
      const { model, ops } = quantizeStatic(float, statistics, scheme);
      expect(ops.map(({ precision }) => precision)).not.toContain('float');
      const theirs = open('mnist_lstm_int8.tflite');
      expect(lstmOf(model)).toEqual(lstmOf(theirs));
      const size = readFileSync(corpusPath('models/mnist_lstm_int8.tflite')).length;
      expect(tfliteBytes(model).length / size).toBeLessThan(1.02);
      const rest = samples.slice(CALIBRATION, CALIBRATION + EVALUATION);
      const correct = async (one: TfliteModel) => {
        const outputs = await runAll(one, rest);
        return outputs.filter((output, i) => {
          const scores = floats(Object.values(output)[0]!.data);
          return scores.indexOf(Math.max(...scores)) === labels[CALIBRATION + i];
        }).length;
      };
      expect(await correct(model)).toBeGreaterThanOrEqual(await correct(theirs));
    },
    TIMEOUT_MS,
  );
});
