import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { benchSchema } from '../../agent/contracts/bench.ts';
import { quantizeSchema } from '../../agent/contracts/quantize.ts';
import { openTflite } from '../../agent/model/tflite/open.ts';
import { vendoredLibrary } from '../../agent/runtime/tflite/places.ts';
import { describeIf, programPath } from '../support/available.ts';
import { corpusPath, describeWithCorpus } from '../support/corpus.ts';
import { tinyTflite } from '../support/tiny-tflite.ts';
import { agent, removeFolders } from './support/agent.ts';
import { DONE, NOTHING_LEFT, refusal, tooWide } from './support/expect.ts';
import { DEMO_MODEL, QUICK, testFiles } from './support/files.ts';

afterAll(removeFolders);
const files = testFiles();
const LIMIT_MS = 60_000;

/** A package of the corpus with few samples: what it gains is measured elsewhere. */
function small(name: string): string {
  const from = corpusPath('packages', `${name}-tflite.json`);
  const manifest = JSON.parse(readFileSync(from, 'utf8'));
  const full = (path: string) => resolve(dirname(from), path);
  const { calibration, evaluation } = manifest.samples;
  const samples = {
    calibration: { ...calibration, path: full(calibration.path), from: 0, to: 24 },
    evaluation: { ...evaluation, path: full(evaluation.path), from: 200, to: 232 },
  };
  return files.put(
    `${name}.json`,
    JSON.stringify({ ...manifest, model: full(manifest.model), samples }),
  );
}

const quantized = async (name: string, scheme: string, ...more: readonly string[]) => {
  const output = files.path(`${name}.${scheme}${more.join('')}.tflite`);
  const ran = await agent([
    'quantize',
    small(name),
    '--to',
    scheme,
    '-o',
    output,
    '--json',
    ...more,
  ]);
  return { ran, output };
};

const typesOf = (path: string) => {
  const [graph] = openTflite(readFileSync(path)).subgraphs;
  const of = (list: readonly number[]) => list.map((at) => graph!.tensors[at]!.type);
  return { inputs: of(graph!.inputs), outputs: of(graph!.outputs) };
};

describeWithCorpus('TFLite models through the command line', () => {
  test.each([
    ['mobilenet-v1-025-224', 'int8-static', 0.35, 0.99],
    ['mlptiny-ic-resnet', 'int8-static', 0.4, 0.99],
    ['mlptiny-ic-resnet', 'fp16', 0.6, 0],
    ['mlptiny-ic-resnet', 'weight-int8', 0.4, 0],
    ['mlptiny-ic-resnet', 'int16x8', 0.4, 0.99],
    ['mlptiny-ic-resnet', 'int8-dynamic', 0.4, 0],
    ['mnist-lstm', 'int8-dynamic', 0.61, 0],
    // 3 kB, half of it names.
    ['hello-world', 'int8-static', 1.5, 0.99],
  ])(
    '%s to %s: an account, and a file that the agent can open',
    async (name, scheme, size, coverage) => {
      const { ran, output } = await quantized(name, scheme);
      expect(ran).toMatchObject(DONE);
      const report = quantizeSchema.parse(JSON.parse(ran.out));
      expect(report).toMatchObject({ output, scheme, bytes: statSync(output).size });
      expect(report.bytes / report.floatBytes).toBeLessThanOrEqual(size);
      expect(report.integerCoverage ?? 0).toBeGreaterThanOrEqual(coverage);
      expect(typesOf(output)).toMatchObject({ inputs: ['FLOAT32'], outputs: ['FLOAT32'] });
    },
    LIMIT_MS,
  );

  test(
    'stored weights of a dynamic-range model become a static one',
    async () => {
      const { ran, output } = await quantized('mlptiny-kws', 'int8-static');
      expect(ran).toMatchObject(DONE);
      const report = quantizeSchema.parse(JSON.parse(ran.out));
      expect(report.integerCoverage).toBe(1);
      const shown = await agent(['inspect', small('mlptiny-kws'), output, '--json']);
      expect(shown).toMatchObject(DONE);
      const { comparison } = JSON.parse(shown.out);
      expect(comparison.sqnrDb).toBeGreaterThan(20);
    },
    LIMIT_MS,
  );

  test.each(['int8', 'uint8'])(
    'inputs and outputs in %s',
    async (io) => {
      const { ran, output } = await quantized('mlptiny-ic-resnet', 'int8-static', '--io', io);
      expect(ran).toMatchObject(DONE);
      const type = io.toUpperCase();
      expect(typesOf(output)).toEqual({ inputs: [type], outputs: [type] });
    },
    LIMIT_MS,
  );

  test(
    'integers only, an LSTM too',
    async () => {
      const { ran, output } = await quantized('mnist-lstm', 'int8-only');
      expect(ran).toMatchObject(DONE);
      expect(quantizeSchema.parse(JSON.parse(ran.out)).integerCoverage).toBe(1);
      expect(typesOf(output)).toEqual({ inputs: ['INT8'], outputs: ['INT8'] });
    },
    LIMIT_MS,
  );

  test(
    'inspect: a TFLite model alone, and not against an ONNX one',
    async () => {
      const { output } = await quantized('mlptiny-ic-resnet', 'int8-static');
      const alone = await agent(['inspect', output]);
      expect(alone).toMatchObject(DONE);
      expect(alone.out).toContain('CONV_2D');
      expect(tooWide(alone, output)).toEqual([]);
      const mixed = await agent(['inspect', DEMO_MODEL, output]);
      expect(mixed).toMatchObject(refusal(2, 'tflite'));
    },
    LIMIT_MS,
  );

  test(
    'a published INT8 file as it is',
    async () => {
      const model = corpusPath('models/mlptiny_ic_resnet_int8.tflite');
      const ran = await agent(['bench', model, '--as-is', '--json', ...QUICK]);
      expect(ran).toMatchObject({ code: 0, ...NOTHING_LEFT });
      const { candidates } = benchSchema.parse(JSON.parse(ran.out));
      expect(candidates).toMatchObject([
        { id: 'tflite/int8/t1', precision: 'int8', verdict: 'chosen', integerCoverage: 1 },
      ]);
      expect(candidates[0]?.why).toContain('already quantized (int8 weights and activations');
    },
    LIMIT_MS,
  );

  test(
    'a model for the Edge TPU where there is none',
    async () => {
      const model = corpusPath('models/others/split_concat_edgetpu.tflite');
      const plain = await agent(['bench', model, ...QUICK]);
      expect(plain).toMatchObject({
        ...NOTHING_LEFT,
        out: '',
        said: [expect.stringContaining('Edge TPU')],
      });
      const asked = await agent(['bench', model, '--delegate', 'libno-edgetpu.so.1', ...QUICK]);
      expect(asked).toMatchObject({
        ...NOTHING_LEFT,
        out: '',
        said: [expect.stringContaining('cannot load delegate libno-edgetpu.so.1')],
      });
    },
    LIMIT_MS,
  );

  describeIf('cc')('with a compiler', () => {
    test(
      'source for microcontrollers compiles and holds the model',
      async () => {
        const output = files.path('hello.cc');
        const ran = await agent([
          'quantize',
          small('hello-world'),
          '--to',
          'int8-only',
          '--emit',
          'c',
          '-o',
          output,
        ]);
        expect(ran).toMatchObject({ code: 0, ...NOTHING_LEFT });
        const flags = ['-fsyntax-only', '-x', 'c', '-std=c11', '-Wall', output];
        const made = spawnSync(programPath('cc')!, flags, { encoding: 'utf8', timeout: 30_000 });
        expect(made).toMatchObject({ status: 0, stderr: '' });
      },
      LIMIT_MS,
    );
  });
});

test(
  'files that are no models, and options that are not for them',
  async () => {
    const broken = files.put(
      'broken.tflite',
      Buffer.concat([Buffer.from('\x1c\0\0\0TFL3', 'latin1'), Buffer.alloc(40, 255)]),
    );
    const cases = [
      [['inspect', broken], 'broken.tflite'],
      [['bench', broken, ...QUICK], 'broken.tflite'],
      [['quantize', broken, '--to', 'fp16', '-o', files.path('never.tflite')], 'broken.tflite'],
      [['bench', DEMO_MODEL, '--delegate', 'libx.so', ...QUICK], '--delegate is for TFLite models'],
      [['bench', DEMO_MODEL, '--delegate-option', 'a=b', ...QUICK], '--delegate-option needs'],
      [['bench', DEMO_MODEL, '--delegate', 'x', '--delegate-option', 'ab'], 'KEY=VALUE'],
    ] as const;
    for (const [args, says] of cases) {
      // oxlint-disable-next-line no-await-in-loop -- one run after the other
      expect(await agent(args)).toMatchObject(refusal(2, says));
    }
  },
  LIMIT_MS,
);

test('how static INT8 is written in ONNX is no choice here', async () => {
  const model = files.put('add.tflite', addModel());
  const output = files.path('never.tflite');
  const ran = await agent([
    'quantize',
    model,
    '--to',
    'int8-static',
    '--format',
    'qdq',
    '-o',
    output,
  ]);
  expect(ran).toMatchObject(refusal(2, '--format'));
});

describeIf('cc')('a delegate in a library of its own', () => {
  const SOURCE = resolve(import.meta.dirname, '../fixtures/delegate/logging-delegate.c');

  test(
    'runs what is measured, and its candidates say so',
    async () => {
      const library = files.path('logging.so');
      const flags = ['-shared', '-fPIC', '-O1', '-o', library, SOURCE];
      expect(spawnSync(programPath('cc')!, flags, { timeout: 30_000 }).status).toBe(0);
      const model = files.put('delegated.tflite', addModel());
      const log = files.path('log.txt');
      const ran = await agent([
        'bench',
        model,
        '--as-is',
        '--json',
        ...QUICK,
        '--delegate',
        library,
        '--delegate-option',
        `log=${log}`,
        '--delegate-option',
        'a=b=c',
      ]);
      expect(ran).toMatchObject({ code: 0, ...NOTHING_LEFT });
      const { candidates } = benchSchema.parse(JSON.parse(ran.out));
      expect(candidates[0]?.why).toContain(`with the delegate ${library} (log=${log}, a=b=c)`);
      expect(readFileSync(log, 'utf8')).toMatch(/option a=b=c[^]*mine 1/);
      const none = await agent(['bench', model, '--delegate', vendoredLibrary(), ...QUICK]);
      expect(none).toMatchObject({
        out: '',
        said: [expect.stringContaining('is no TFLite delegate')],
      });
    },
    LIMIT_MS,
  );
});

/** y = x + [10 20] */
function addModel(): Uint8Array {
  return tinyTflite({
    tensors: [
      { name: 'x', shape: [1, 2] },
      { name: 'bias', shape: [2], data: new Float32Array([10, 20]) },
      { name: 'y', shape: [1, 2] },
    ],
    inputs: [0],
    outputs: [2],
    ops: [{ op: 'add', inputs: [0, 1], outputs: [2] }],
  });
}
