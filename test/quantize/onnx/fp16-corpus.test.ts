import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { OnnxModel } from '../../../agent/model/onnx/open.ts';
import { openOnnx } from '../../../agent/model/onnx/open.ts';
import { DataType } from '../../../agent/model/onnx/tensor.ts';
import { toFp16 } from '../../../agent/quantize/onnx/fp16.ts';
import { corpusOnnx, describeWithCorpus } from '../../support/corpus.ts';
import { modelBytes } from '../../support/onnx-models.ts';

/** Integer inputs that are no indices. */
const SAMPLE_RATE = 16_000n;

/** Shapes that a file leaves open and that must not be 1. */
const SHAPES: Readonly<Record<string, readonly number[]>> = { 'silero_vad/input': [1, 576] };

/** Noise in [0, 1), the same each time. */
function noise(size: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length: size }, () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  });
}

/** One sample of noise for each input; symbolic dimensions are 1. */
function feedsOf(model: string, { graph }: OnnxModel): Record<string, Tensor> {
  const weights = new Set(graph.initializer.map(({ name }) => name));
  const inputs = graph.input.filter(({ name }) => !weights.has(name));
  return Object.fromEntries(
    inputs.map(({ name = '', type }) => {
      const declared = (type?.tensorType?.shape?.dim ?? []).map(({ dimValue }) => dimValue ?? 1);
      const dims = SHAPES[`${model}/${name}`] ?? declared;
      const size = dims.reduce((product, dim) => product * dim, 1);
      const elemType = type?.tensorType?.elemType;
      if (elemType === DataType.INT64) {
        const values = BigInt64Array.from({ length: size }, () => SAMPLE_RATE);
        return [name, new Tensor('int64', name === 'sr' ? values : values.fill(1n), dims)];
      }
      if (elemType === DataType.INT32)
        return [name, new Tensor('int32', new Int32Array(size).fill(1), dims)];
      return [name, new Tensor('float32', noise(size), dims)];
    }),
  );
}

async function outputsOf(model: OnnxModel, feeds: Record<string, Tensor>): Promise<number[]> {
  const session = await InferenceSession.create(modelBytes(model), { logSeverityLevel: 4 });
  try {
    const results = await session.run(feeds);
    return Object.values(results).flatMap(({ data }) => Array.from(data, Number));
  } finally {
    await session.release();
  }
}

/** Signal to noise in dB. */
function sqnr(reference: readonly number[], values: readonly number[]): number {
  const signal = reference.reduce((sum, value) => sum + value * value, 0);
  const error = reference.reduce((sum, value, at) => sum + (value - (values[at] ?? NaN)) ** 2, 0);
  return 10 * Math.log10(signal / Math.max(error, Number.MIN_VALUE));
}

describeWithCorpus('the shared corpus', () => {
  test.each(corpusOnnx('models'))(
    '%s in float16 computes what it computes in float32',
    async (name, path) => {
      const source = openOnnx(readFileSync(path));
      const feeds = feedsOf(name, source);
      const { model } = toFp16(source);
      const reference = await outputsOf(source, feeds);
      expect(sqnr(reference, await outputsOf(model, feeds))).toBeGreaterThan(30);
    },
    30_000,
  );
});
