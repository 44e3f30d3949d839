import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { benchSchema } from '../../agent/contracts/bench.ts';
import { manifestSchema } from '../../agent/contracts/manifest.ts';
import { packSchema } from '../../agent/contracts/pack.ts';
import { shippedPath } from '../../agent/util/paths.ts';
import { identitySamples, putCompiler, slowIdentity } from '../support/edge-tpu.ts';
import { agent, removeFolders } from './support/agent.ts';
import { NOTHING_LEFT, refusal } from './support/expect.ts';
import { productModel, productSamples, testFiles } from './support/files.ts';

const files = testFiles();
afterAll(removeFolders);
const LIMIT_MS = 120_000;
const DEMO = shippedPath('demo', 'manifest.json');

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(folder, name)).isFile())
    .toSorted();
}

describe('agent model pack', () => {
  test(
    'the demo: everything and no more, hashes that hold, the same bytes again',
    async () => {
      const [first, second] = [files.path('demo-1'), files.path('demo-2')];
      const variant = files.put('ready.onnx', readFileSync(shippedPath('demo', 'shapes.onnx')));
      const labels = files.put('names.txt', 'circle\nring\n');
      const more = ['--variant', variant, '--labels', labels, '--max-p90-ms', '50', '--json'];
      const ran = await agent(['model', 'pack', DEMO, '-o', first, ...more]);
      expect(ran).toMatchObject({ code: 0, ...NOTHING_LEFT });
      const report = packSchema.parse(JSON.parse(ran.out));
      expect(report).toMatchObject({
        name: 'demo-shapes',
        version: '1.0.0',
        samples: { calibration: 256, evaluation: 800 },
        variants: [{ path: 'variants/ready.onnx', precision: 'fp32', runtime: 'onnxruntime' }],
        warnings: [],
      });
      const manifest = manifestSchema.parse(
        JSON.parse(readFileSync(join(first, 'manifest.json'), 'utf8')),
      );
      expect(manifest).toMatchObject({
        model: 'model/shapes.onnx',
        labels: 'labels.txt',
        licence: 'Apache-2.0',
        gates: { maxP90Ms: 50 },
        samples: { evaluation: { path: 'samples/evaluation.npz' } },
      });
      const listed = manifest.files ?? [];
      expect(filesBelow(first)).toEqual(
        [...listed.map(({ path }) => path), 'manifest.json'].toSorted(),
      );
      for (const { path, sha256, bytes } of listed) {
        const content = readFileSync(join(first, path));
        expect([content.length, createHash('sha256').update(content).digest('hex')]).toEqual([
          bytes,
          sha256,
        ]);
      }
      await agent(['model', 'pack', DEMO, '-o', second, ...more]);
      for (const name of filesBelow(first)) {
        expect(readFileSync(join(second, name))).toEqual(readFileSync(join(first, name)));
      }
    },
    LIMIT_MS,
  );

  test(
    'weights in another file go along, and the folder takes the place of the model',
    async () => {
      const weights = { name: 'w', shape: [4, 4], data: { file: 'weights/w.bin' } };
      const path = files.put('outside/big.onnx', productModel({ weights: [weights] }));
      const values = Float32Array.from({ length: 16 }, (_, at) => Math.sin(at));
      files.put('outside/weights/w.bin', new Uint8Array(values.buffer));
      files.put(
        'outside/x.npy',
        productSamples(40, (value) => value),
      );
      const output = files.path('external');
      const args = [
        '--package-version',
        '2',
        '--samples',
        files.path('outside/x.npy'),
        '--min-sqnr',
        '15',
      ];
      const packed = await agent(['model', 'pack', path, '-o', output, ...args]);
      expect(packed).toMatchObject({ code: 0, ...NOTHING_LEFT });
      expect(filesBelow(output)).toEqual([
        'manifest.json',
        'model/big.onnx',
        'model/weights/w.bin',
        'samples/calibration.npy',
        'samples/evaluation.npy',
      ]);
      const ran = await agent(['bench', output, '--threads', '1', '--min-time', '0.01', '--json']);
      expect(ran.code).toBe(0);
      const bench = benchSchema.parse(JSON.parse(ran.out));
      expect(bench.samples).toMatchObject({ calibration: 20, evaluation: 20 });
      expect(bench.objective).toMatchObject({ minSqnrDb: 15, gates: ['minSqnrDb'] });
    },
    LIMIT_MS,
  );

  test(
    'what cannot be packed is one line and leaves nothing',
    async () => {
      const model = files.put('plain.onnx', productModel());
      const output = files.path('never');
      const full = files.put('full/note.txt', 'mine').replace('/note.txt', '');
      const raw = files.put('raw/a.bin', 'abc').replace('/a.bin', '');
      const cases = [
        [[model, '-o', output], 'give --package-version'],
        [[model, '-o', output, '--package-version', '../1'], 'the version "../1" cannot be used'],
        [[model, '-o', model, '--package-version', '1'], 'is a file'],
        [[model, '-o', full, '--package-version', '1'], 'exists and is not empty'],
        [[model, '-o', full, '--package-version', '1', '--force'], 'is no package'],
        [[files.path('none.onnx'), '-o', output], 'no such file'],
        [[model, '-o', output, '--package-version', '1', '--variant', full], 'it is a folder'],
        [[model, '-o', output, '--package-version', '1', '--labels', '/no/such'], '/no/such'],
        [[model, '-o', output, '--package-version', '1', '--labels', full], `cannot read ${full}`],
        [[model, '-o', output, '--package-version', '1', '--name', ''], "<name>' is empty"],
        [[model, '-o', output, '--package-version', '1', '--name', '../up'], 'cannot be used'],
        [
          [model, '-o', output, '--package-version', '1', '--samples', raw],
          'a.bin: expected 16 bytes',
        ],
        [
          [model, '-o', output, '--package-version', '1', '--edgetpu'],
          'edgetpu_compiler is not on the PATH',
        ],
        [[model, '-o', output, '--package-version', '1', '--min-sqnr', 'x'], 'not a number'],
        [[model, '-o', output, '--samples-command', 'cat'], 'a package takes --samples'],
      ] as const;
      for (const [args, says] of cases) {
        // oxlint-disable-next-line no-await-in-loop -- one run after the other
        expect(await agent(['model', 'pack', ...args])).toMatchObject(refusal(2, says));
      }
      expect(readdirSync(files.folder).filter((name) => /never|part|old$/.test(name))).toEqual([]);
      expect(readdirSync(full)).toEqual(['note.txt']);
    },
    LIMIT_MS,
  );

  test(
    '--force replaces a package as a whole',
    async () => {
      const model = files.put('again.onnx', productModel());
      const output = files.path('again');
      const pack = (...more: string[]) => agent(['model', 'pack', model, '-o', output, ...more]);
      await pack('--package-version', '1');
      files.put('again/left-over.txt', 'old');
      expect(await pack('--package-version', '2', '--force')).toMatchObject({ code: 0 });
      expect(filesBelow(output)).toEqual(['manifest.json', 'model/again.onnx']);
      const text = readFileSync(join(output, 'manifest.json'), 'utf8');
      expect(JSON.parse(text)).toMatchObject({ version: '2' });
    },
    LIMIT_MS,
  );
});

describe('with edgetpu_compiler on the PATH', () => {
  const env = { PATH: [putCompiler(files.folder), process.env['PATH']].join(':') };
  const model = files.put('tpu/face.tflite', slowIdentity());
  const samples = files.put('tpu/x.npy', identitySamples(8));
  const base = ['model', 'pack', model, '--samples', samples, '--package-version', '1.2.0'];

  test(
    'both files go in by themselves, with what runs where',
    async () => {
      const output = files.path('tpu/package');
      const ran = await agent([...base, '-o', output, '--json'], {
        env: { ...env, STAND_IN_LEAVES: '1' },
      });
      expect(ran).toMatchObject({ code: 0, ...NOTHING_LEFT });
      const { variants, compiler } = packSchema.parse(JSON.parse(ran.out));
      expect(variants).toMatchObject([
        {
          path: 'variants/face_int8_edgetpu.tflite',
          precision: 'int8',
          runtime: 'tflite',
          accelerators: ['edgetpu-usb', 'edgetpu-pcie'],
          ops: { accelerator: 3, cpu: 1 },
        },
        { path: 'variants/face_int8.tflite', precision: 'int8', runtime: 'tflite' },
      ]);
      expect(compiler).toMatchObject({
        version: '16.0.384591198',
        onChipBytes: 12_800,
        offChipBytes: 0,
      });
      const there = await agent([
        'bench',
        output,
        '--as-is',
        '--threads',
        '1',
        '--min-time',
        '0.01',
        '--json',
      ]);
      const { notTried } = benchSchema.parse(JSON.parse(there.out));
      expect(notTried.map(({ precision }) => precision)).toContain(
        'int8 variants/face_int8_edgetpu.tflite',
      );
    },
    LIMIT_MS,
  );

  test(
    'its failure is a warning, or with --edgetpu the end',
    async () => {
      const output = files.path('tpu/failing');
      const failing = { env: { ...env, STAND_IN: 'fail' } };
      const words = 'edgetpu_compiler failed on face_int8.tflite (exit code 1)';
      const asked = await agent([...base, '-o', output, '--edgetpu'], failing);
      expect(asked).toMatchObject(refusal(1, words));
      expect(asked.said.join()).toContain('Compilation failed: Model not quantized');
      const ran = await agent([...base, '-o', output, '--json'], failing);
      expect(ran).toMatchObject({ code: 0, ...NOTHING_LEFT });
      const { variants, warnings } = packSchema.parse(JSON.parse(ran.out));
      expect(variants).toEqual([]);
      expect(warnings).toContainEqual(expect.stringContaining(words));
      const without = await agent(
        [...base, '-o', files.path('tpu/without'), '--no-edgetpu', '--json'],
        { env },
      );
      expect(packSchema.parse(JSON.parse(without.out))).toMatchObject({ variants: [] });
    },
    LIMIT_MS,
  );
});
