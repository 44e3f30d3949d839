import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, jest, test } from '@jest/globals';
import { npzOf, plansFor } from '../../../agent/calibration/recording/sample.ts';
import { SampleStore } from '../../../agent/calibration/recording/store.ts';
import { openSamples } from '../../../agent/calibration/samples/open.ts';
import { rangesSchema } from '../../../agent/contracts/ranges.ts';
import type { ModelInput } from '../../../agent/contracts/recorded.ts';
import { quantizeModel } from '../../../agent/fit/run.ts';
import { corpusPath, describeWithCorpus } from '../../support/corpus.ts';

jest.setTimeout(120_000);

const INPUTS: readonly ModelInput[] = [
  { name: 'input.1', dtype: 'float32', shape: [1, 1, 49, 10] },
];
const SAMPLES = 40;
/** The folder is one set for two purposes: half of it calibrates. */
const CALIBRATES = SAMPLES / 2;

describeWithCorpus('a keyword spotter', () => {
  test('is quantized for what was recorded, four times as loud', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'edgefit-loud-'));
    const store = await SampleStore.open({
      folder: join(folder, 'recorded', 'ks'),
      model: 'ks',
      inputs: INPUTS,
      limits: { maxSamples: SAMPLES, maxBytes: 1e7 },
      random: () => 0,
      now: () => new Date(),
    });
    const path = corpusPath('data', 'kws01_nchw.npz');
    const description = { inputs: INPUTS, outputs: [] };
    let [least, most, count] = [Infinity, -Infinity, 0];
    for await (const { feeds } of await openSamples({ path }, {}, description, { to: SAMPLES })) {
      const data = feeds['input.1']?.data;
      if (!(data instanceof Float32Array)) throw new Error('input.1 is not float32');
      const loud = data.map((value) => 4 * value);
      if (count < CALIBRATES) {
        least = Math.min(least, ...loud);
        most = Math.max(most, ...loud);
      }
      count += 1;
      const bytes = new Uint8Array(loud.buffer);
      const array = { name: 'input.1', dtype: 'float32', shape: [1, 1, 49, 10], bytes } as const;
      await store.add(npzOf([array], plansFor(INPUTS)));
    }
    const ranges = join(folder, 'ranges.json');
    const hooks = { signal: AbortSignal.timeout(90_000), progress: () => undefined };
    const request = {
      modelPath: corpusPath('packages', 'mlptiny-ks-raw.json'),
      scheme: 'int8-static',
      output: join(folder, 'q.onnx'),
      ranges: [],
      saveRanges: ranges,
      samples: { path: join(folder, 'recorded', 'ks') },
      image: {},
      noMixed: true,
    } as const;
    await quantizeModel(request, hooks);
    const { tensors } = rangesSchema.parse(JSON.parse(readFileSync(ranges, 'utf8')));
    const input = tensors.find(({ name }) => name === 'input.1');
    expect([input?.min, input?.max]).toEqual([least, most]);
    expect(input?.samples).toBe(CALIBRATES);
    rmSync(folder, { recursive: true });
  });
});
