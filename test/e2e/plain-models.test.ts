import { afterAll, describe, expect, test } from '@jest/globals';
import { benchSchema, type BenchReport } from '../../agent/contracts/bench.ts';
import { npy, npz } from '../calibration/make-arrays.ts';
import { agent, removeFolders } from './support/agent.ts';
import { DONE, refusal } from './support/expect.ts';
import { productModel, productSamples, QUICK, testFiles, unaryModel } from './support/files.ts';

/** Models without a manifest. */

afterAll(removeFolders);
const { put } = testFiles();
const LIMIT_MS = 60_000;
const product = put('product.onnx', productModel());

async function bench(...args: readonly string[]): Promise<BenchReport> {
  const ran = await agent(['bench', ...args, ...QUICK, '--json']);
  expect(ran).toMatchObject(DONE);
  return benchSchema.parse(JSON.parse(ran.out));
}

describe('without samples', () => {
  test(
    'the file is timed with made-up inputs, and nothing of unknown accuracy is chosen',
    async () => {
      const report = await bench(product);
      expect(report.samples).toMatchObject({ calibration: 0, evaluation: 0, labelled: false });
      expect(report.samples.source).toContain('made-up inputs');
      const [float, dynamic] = report.candidates;
      expect(float).toMatchObject({ verdict: 'chosen', fidelity: null, accuracy: null });
      expect(float?.latencyMs?.p50).toBeGreaterThan(0);
      expect(dynamic).toMatchObject({ method: 'dynamic', verdict: 'rejected', fidelity: null });
      expect(dynamic?.reason).toContain('its error against the float model is unknown');
      expect(report.notTried).toContainEqual({
        precision: 'int8-static',
        why: expect.stringContaining('it needs calibration samples'),
      });
    },
    LIMIT_MS,
  );

  test.each([
    ['float16 inputs', unaryModel('Relu', { type: 'float16' })],
    ['whole numbers', unaryModel('Abs', { type: 'int64' })],
    ['a batch that is open', unaryModel('Relu', { shape: ['batch', 4] })],
    ['every dimension open', unaryModel('Relu', { shape: ['batch', 'time'] })],
    ['an input without dimensions', unaryModel('Relu', { shape: [] })],
    [
      'no inputs',
      productModel({
        inputs: [],
        nodes: [{ op: 'Relu', inputs: ['w'], outputs: ['y'] }],
        outputs: [{ name: 'y', shape: [4, 4] }],
      }),
    ],
    [
      'nothing but constants',
      productModel({ inputs: [], nodes: [], outputs: [{ name: 'w', shape: [4, 4] }] }),
    ],
  ])(
    '%s',
    async (title, bytes) => {
      const { candidates } = await bench(put(`${title.replaceAll(' ', '-')}.onnx`, bytes));
      expect(candidates[0]).toMatchObject({ method: 'none', verdict: 'chosen' });
    },
    LIMIT_MS,
  );

  test('text as input is refused: no value can be made up', async () => {
    const model = put('text.onnx', unaryModel('Identity', { type: 'string' }));
    const ran = await agent(['bench', model, ...QUICK]);
    expect(ran).toMatchObject(refusal(2, "input 'x' is of type string: give --samples"));
  });
});

describe('with samples from the command line', () => {
  test(
    'one file is split: one half calibrates, the other judges',
    async () => {
      const samples = put(
        'plain.npy',
        productSamples(80, (value) => value),
      );
      const report = await bench(product, '--samples', samples);
      expect(report.samples).toMatchObject({ calibration: 40, evaluation: 40, labelled: false });
      expect(report.objective).toMatchObject({ minSqnrDb: 20, maxAccuracyDrop: null });
      expect(report.candidates.map(({ method }) => method)).toEqual(['none', 'static', 'dynamic']);
      for (const { method, fidelity } of report.candidates.slice(1)) {
        expect([method, fidelity?.samples]).toEqual([method, 40]);
        expect(fidelity?.sqnrDb).toBeGreaterThan(30);
      }
    },
    LIMIT_MS,
  );

  test(
    'labels in an archive make it a classifier',
    async () => {
      const model = put(
        'open.onnx',
        productModel({
          inputs: [{ name: 'x', shape: ['n', 4] }],
          outputs: [{ name: 'y', shape: ['n', 4] }],
        }),
      );
      const labels = npy(
        '<i4',
        [64],
        Int32Array.from({ length: 64 }, (_, at) => at % 4),
      );
      const samples = put('labelled.npz', npz({ x: productSamples(64, (value) => value), labels }));
      const report = await bench(model, '--samples', samples, '--precision', 'int8-static');
      expect(report.samples).toMatchObject({ evaluation: 32, labelled: true });
      for (const row of report.candidates) expect(row.accuracy?.metric).toBe('top1');
    },
    LIMIT_MS,
  );

  test(
    'a folder of raw tensors with labels',
    async () => {
      const rows = Array.from({ length: 40 }, (_, at) => {
        put(`raw/${at}.bin`, new Uint8Array(Float32Array.of(at, 1, -at, 2).buffer));
        return `${at}.bin,${at % 3}`;
      });
      const labels = put('raw/labels.csv', ['file,label', ...rows].join('\n'));
      const folder = labels.replace(/\/labels.csv$/, '');
      const report = await bench(product, '--samples', folder, '--precision', 'int8-static');
      expect(report.samples).toMatchObject({ calibration: 20, evaluation: 20, labelled: true });
      expect(report.samples.source).toContain('raw tensors in');
    },
    LIMIT_MS,
  );

  test(
    'a command on the device',
    async () => {
      const one = put('one.npy', npy('<f4', [1, 4], Float32Array.of(1, 2, 3, 4)));
      const command = `for i in 1 2 3 4 5 6; do cat ${one}; done`;
      const report = await bench(product, '--samples-command', command);
      expect(report.samples.source).toContain('6 samples from the command for i in');
      expect(report.warnings).toContainEqual(expect.stringContaining('calibrate and judge'));
      expect(report.candidates[1]).toMatchObject({ method: 'static', integerCoverage: 1 });
      expect(report.candidates[1]?.fidelity?.samples).toBe(6);
    },
    LIMIT_MS,
  );
});
