import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { WithSession } from '../../../agent/fit/calibrate/measure-biases.ts';
import { measureBiases } from '../../../agent/fit/calibrate/measure-biases.ts';
import { exposeTensors } from '../../../agent/model/onnx/expose.ts';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { withGraph, writeOnnx } from '../../../agent/model/onnx/open.ts';
import { shiftBiases } from '../../../agent/quantize/onnx/bias-sites.ts';
import { quantizeStatic } from '../../../agent/quantize/onnx/static.ts';
import { onnxRuntime } from '../../../agent/runtime/onnxruntime.ts';
import type { Feeds } from '../../../agent/runtime/types.ts';
import { tinyModel } from '../../support/onnx-models.ts';
import {
  STATIC,
  floats,
  observe,
  randomTensor,
  randomValues,
  randoms,
  runAll,
  weights,
} from '../../quantize/support.ts';

const next = randoms(11);

/** Two convolutions, the first of them with a Relu that the quantized range absorbs. */
const MODEL = tinyModel({
  inputs: { x: [1, [1, 2, 6, 6]] },
  outputs: { y: [1] },
  initializers: [
    weights('w1', [4, 2, 3, 3], [...randomValues(next, 72)]),
    weights('b1', [4], [0.5, -0.5, 0.2, 0]),
    weights('w2', [3, 4, 1, 1], [...randomValues(next, 12)]),
    weights('b2', [3], [0, 0.1, 0.2]),
  ],
  nodes: [
    makeNode('Conv', ['x', 'w1', 'b1'], ['h']),
    makeNode('Relu', ['h'], ['r']),
    makeNode('Conv', ['r', 'w2', 'b2'], ['y']),
  ],
});
const SAMPLES: readonly Feeds[] = Array.from({ length: 12 }, () => {
  return { x: randomTensor(next, [1, 2, 6, 6]) };
});

const withSession: WithSession = async (path, use) => {
  const options = { threads: 1, optimization: 'disabled', arena: false } as const;
  const session = await onnxRuntime.open(path, options);
  try {
    return await use(session);
  } finally {
    await session.close();
  }
};

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgefit-test-biases-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Measures a quantized model whose first bias was put off by `wrong`. */
async function measured(wrong: Float64Array, samples: readonly Feeds[]) {
  const { model, biases: sites = [] } = quantizeStatic(
    MODEL,
    await observe(MODEL, SAMPLES),
    STATIC,
  );
  const raw = sites[0]?.raw ?? '';
  const spoilt = withGraph(model, shiftBiases(model.graph, sites, new Map([[raw, wrong]])));
  const float = join(folder, 'float.onnx');
  const quantized = join(folder, 'quantized.onnx');
  const exposed = exposeTensors(
    MODEL,
    sites.map((site) => site.float),
  );
  await writeFile(float, Buffer.concat(writeOnnx(exposed)));
  await writeFile(quantized, Buffer.concat(writeOnnx(spoilt)));
  const request = { float, quantized, sites };
  const signal = new AbortController().signal;
  const shifts = await measureBiases(request, samples, withSession, signal);
  const mended = withGraph(spoilt, shiftBiases(spoilt.graph, sites, shifts));
  return { sites, shifts, spoilt, mended };
}

async function meanError(model: typeof MODEL): Promise<number> {
  const [wanted, got] = await Promise.all([runAll(MODEL, SAMPLES), runAll(model, SAMPLES)]);
  let worst = 0;
  for (let c = 0; c < 3; c++) {
    let sum = 0;
    for (const [i, { y }] of wanted.entries()) {
      const [a, b] = [floats(y?.data), floats(got[i]?.['y']?.data)];
      const plane = a.length / 3;
      for (let at = c * plane; at < (c + 1) * plane; at++) sum += (b[at] ?? 0) - (a[at] ?? 0);
    }
    worst = Math.max(worst, Math.abs(sum / SAMPLES.length));
  }
  return worst;
}

test('a bias that is off is found, and not blamed on the layers behind it', async () => {
  const wrong = Float64Array.of(0.3, 0, -0.2, 0);
  const { sites, shifts, spoilt, mended } = await measured(wrong, SAMPLES);
  expect(sites.map(({ float }) => float)).toEqual(['h', 'y']);
  const [first, second] = sites.map(({ raw }) => shifts.get(raw));
  wrong.forEach((value, c) => expect(first?.[c]).toBeCloseTo(-value, 1));
  for (const value of second ?? []) expect(Math.abs(value)).toBeLessThan(0.02);
  expect(second).toHaveLength(3);
  expect(await meanError(mended)).toBeLessThan(0.2 * (await meanError(spoilt)));
});

test('a few samples are not believed', async () => {
  const { shifts } = await measured(Float64Array.of(0.3, 0, 0, 0), SAMPLES.slice(0, 3));
  expect(shifts.size).toBe(0);
});
