import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { quantizeModel } from '../../agent/fit/run.ts';
import type { QuantizeRequest } from '../../agent/fit/types.ts';
import { npy } from '../calibration/make-arrays.ts';
import { floats } from '../quantize/support.ts';
import { unevenNet } from '../quantize/tflite/uneven.ts';
import { tfliteBytes } from '../support/tflite-models.ts';

/* A net that int8 does badly at, for a device on which no layer can be given back to float. */

const SAMPLES = 64;
const LIMIT_MS = 120_000;

const folder = mkdtempSync(join(tmpdir(), 'edgefit-test-integers-'));
/** What was begun, in order. */
const phases: string[] = [];
const hooks = {
  signal: new AbortController().signal,
  progress: ({ phase }: { readonly phase: string }) => {
    if (phases.at(-1) !== phase) phases.push(phase);
  },
};
beforeEach(() => {
  phases.length = 0;
});
const looks = () => phases.filter((phase) => phase === 'looking at channels').length;

beforeAll(() => {
  const { model, samples } = unevenNet(SAMPLES);
  writeFileSync(join(folder, 'model.tflite'), tfliteBytes(model));
  const values = samples.flatMap(({ x }) => [...floats(x?.data)]);
  writeFileSync(join(folder, 'x.npy'), npy('<f4', [SAMPLES, 8, 8, 3], Float32Array.from(values)));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const quantized = (name: string, more: Partial<QuantizeRequest>) =>
  quantizeModel(
    {
      modelPath: join(folder, 'model.tflite'),
      scheme: 'int8-only',
      output: join(folder, `${name}.tflite`),
      ranges: [],
      samples: { path: join(folder, 'x.npy') },
      image: {},
      ...more,
    },
    hooks,
  );

const shortfalls = (warnings: readonly string[] = []) =>
  warnings.filter((warning) => warning.startsWith('SQNR'));

test(
  'channels are equalized, and more is not tried where that does',
  async () => {
    const { ops, sqnrDb, warnings, recipe } = await quantized('plain', {});
    expect(ops.float).toBe(0);
    // 29 dB with the channels as they are.
    expect(sqnrDb).toBeGreaterThan(40);
    expect(shortfalls(warnings)).toEqual([]);
    expect(recipe?.rounding).toBeUndefined();
  },
  LIMIT_MS,
);

test(
  'where nothing reaches the limit the best is written, with a warning',
  async () => {
    const { sqnrDb, warnings } = await quantized('high', { minSqnrDb: 80 });
    // Equalized unasked already: asked for, it is no other model.
    expect(looks()).toBe(1);
    expect(sqnrDb).toBeGreaterThan(40);
    expect(shortfalls(warnings)).toEqual([
      expect.stringMatching(/^SQNR is \d+\.\d dB on calibration samples, below 80: /),
    ]);
  },
  LIMIT_MS,
);

test(
  'a tensor that a rule gives a range to is not scaled',
  async () => {
    const recipe = join(folder, 'recipe.json');
    const rules = [{ name: 'a/linear', range: [-2, 2] }];
    writeFileSync(
      recipe,
      JSON.stringify({ schema: 'edgefit/recipe/1', scheme: 'int8-only', rules }),
    );
    await quantized('ranged', { scheme: { recipe } });
    expect(phases).toContain('calibrating');
    expect(looks()).toBe(0);
  },
  LIMIT_MS,
);
