import { readFileSync, statSync } from 'node:fs';
import { afterAll, expect, test } from '@jest/globals';
import { benchSchema } from '../../agent/contracts/bench.ts';
import { quantizeSchema } from '../../agent/contracts/quantize.ts';
import { openTflite } from '../../agent/model/tflite/open.ts';
import { npy } from '../calibration/make-arrays.ts';
import { GraphBuilder } from '../quantize/tflite/graphs.ts';
import { tfliteBytes } from '../support/tflite-models.ts';
import { tinyTflite } from '../support/tiny-tflite.ts';
import { agent, removeFolders } from './support/agent.ts';
import { NOTHING_LEFT } from './support/expect.ts';
import { QUICK, testFiles } from './support/files.ts';

afterAll(removeFolders);
const files = testFiles();
const LIMIT_MS = 60_000;
const SHAPE = [1, 12, 12, 8] as const;
const SAMPLES = 12;

/** Two convolutions, and samples for them. */
function network() {
  const g = new GraphBuilder(7);
  const hidden = g.conv('hidden', g.input('x', SHAPE), 16, { activation: 'RELU' });
  const model = files.put('network.tflite', tfliteBytes(g.model([g.conv('y', hidden, 8)])));
  const values = Float32Array.from({ length: SAMPLES * 12 * 12 * 8 }, (_, i) => Math.sin(i * 1.7));
  const samples = files.put('samples.npy', npy('<f4', [SAMPLES, ...SHAPE.slice(1)], values));
  return { model, samples };
}

test(
  'auto measures versions and keeps none that is slower than the file as it is',
  async () => {
    const { model, samples } = network();
    const output = files.path('auto.tflite');
    const given = ['--samples', samples, '-o', output, '--json'];
    const ran = await agent(['quantize', model, '--to', 'auto', ...given]);
    expect(ran).toMatchObject({ code: 0, ...NOTHING_LEFT });
    const report = quantizeSchema.parse(JSON.parse(ran.out));
    expect(report).toMatchObject({ scheme: 'auto', output, bytes: statSync(output).size });
    const candidates = report.candidates ?? [];
    const methods = new Set(candidates.map(({ method }) => method));
    for (const method of ['none', 'static']) expect(methods).toContain(method);
    const chosen = candidates.filter(({ verdict }) => verdict === 'chosen');
    expect(chosen).toHaveLength(1);
    const asItIs = candidates.find(({ method }) => method === 'none');
    // As fast within what measuring can tell.
    expect(chosen[0]?.latencyMs?.p50).toBeLessThanOrEqual((asItIs?.latencyMs?.p50 ?? 0) * 1.1);
    const losers = candidates.filter(({ verdict }) => verdict !== 'chosen');
    expect(losers.filter(({ reason }) => reason === '')).toEqual([]);
    const [graph] = openTflite(readFileSync(output)).subgraphs;
    expect(graph!.inputs.map((at) => graph!.tensors[at]!.name)).toEqual(['x']);
  },
  LIMIT_MS,
);

test(
  'what keeps a model from running fast is a warning of the report',
  async () => {
    // y = x + c; beside it something that nobody reads, in a file that cannot be written without it.
    const model = files.put(
      'newer.tflite',
      tinyTflite({
        tensors: [
          { name: 'x', shape: [1, 2] },
          { name: 'c', shape: [2], data: new Float32Array([10, 20]) },
          { name: 'y', shape: [1, 2] },
          { name: 'spare', shape: [1, 2] },
        ],
        inputs: [0],
        outputs: [2],
        ops: [
          { op: 'add', inputs: [0, 1], outputs: [2] },
          { op: 'add', inputs: [0, 1], outputs: [3] },
        ],
        newer: true,
      }),
    );
    const ran = await agent(['bench', model, '--as-is', '--json', ...QUICK]);
    expect(ran).toMatchObject({ code: 0, ...NOTHING_LEFT });
    const { warnings, chosen } = benchSchema.parse(JSON.parse(ran.out));
    expect(chosen).toContain('tflite');
    expect(warnings).toContainEqual(
      expect.stringMatching(/^tflite\/.*compute what nobody reads.*TFLite's own kernels/),
    );
  },
  LIMIT_MS,
);
