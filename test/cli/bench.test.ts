import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { benchSchema } from '../../agent/contracts/bench.ts';
import { AgentError } from '../../agent/util/errors.ts';
import { report } from '../fit/report-fixture.ts';
import { run } from './support.ts';

test('the table goes to stdout, progress to stderr', async () => {
  const ran = await run(['bench', 'model.onnx']);
  expect(ran).toMatchObject({ code: 0, err: 'agent: measuring\n', cleanups: 1 });
  expect(ran.out).toContain('Chosen: #4 onnxruntime/int8-static/t2');
  expect(ran.out).not.toContain('\u001B');
});

test('--json prints nothing but the report', async () => {
  const ran = await run(['bench', 'model.onnx', '--json']);
  expect(benchSchema.parse(JSON.parse(ran.out))).toEqual(JSON.parse(JSON.stringify(report)));
});

test('with no model the demo is measured, with the defaults', async () => {
  const { benched } = await run(['bench']);
  expect(benched).toEqual([
    {
      modelPath: 'demo/manifest.json',
      plan: { precisions: undefined, threads: undefined, runtimes: undefined, asIs: false },
      samples: { path: undefined, command: undefined },
      image: {},
      objective: {
        optimize: 'latency',
        maxAccuracyDrop: null,
        minSqnrDb: null,
        maxP90Ms: null,
      },
      observer: undefined,
      minTimeSeconds: 1,
      coolDownSeconds: 60,
    },
  ]);
});

test.each([
  [['--runtime', 'tflite'], undefined, 'demo/manifest-tflite.json'],
  [['--runtime', 'onnxruntime,tflite'], undefined, 'demo/manifest.json'],
  [['--runtime', 'onnxruntime'], ['tflite'], 'demo/manifest.json'],
  [['--delegate', 'libx.so'], undefined, 'demo/manifest-tflite.json'],
  [[], ['tflite'], 'demo/manifest-tflite.json'],
  [[], [], 'demo/manifest.json'],
] as const)('the demo for %j, where %j run, is %s', async (args, here, path) => {
  const runtimesHere = async () => here ?? (['onnxruntime'] as const);
  const demo = { onnx: 'demo/manifest.json', tflite: 'demo/manifest-tflite.json', runtimesHere };
  const { benched } = await run(['bench', ...args], { demo });
  expect(benched.map(({ modelPath }) => modelPath)).toEqual([path]);
});

test('every option arrives', async () => {
  const lines = [
    'bench m.onnx --precision INT8,fp16 --threads 1,,4 --runtime onnxruntime',
    '--samples photos --observer mse --image-size 320x240 --mean 1,2,3 --std 0.5',
    '--color bgr --layout nhwc --optimize size --max-accuracy-drop 0.5',
    '--min-sqnr 25.5 --max-p90-ms 9 --min-time 0.2 --cool-down 7.5',
  ];
  const { code, benched } = await run(lines.join(' ').split(' '));
  expect(code).toBe(0);
  expect(benched[0]).toEqual({
    modelPath: 'm.onnx',
    plan: {
      precisions: ['int8', 'fp16'],
      threads: [1, 4],
      runtimes: ['onnxruntime'],
      asIs: false,
    },
    samples: { path: 'photos', command: undefined },
    image: {
      width: 320,
      height: 240,
      mean: [1, 2, 3],
      std: [0.5],
      color: 'bgr',
      layout: 'nhwc',
    },
    objective: { optimize: 'size', maxAccuracyDrop: 0.5, minSqnrDb: 25.5, maxP90Ms: 9 },
    observer: 'mse',
    minTimeSeconds: 0.2,
    coolDownSeconds: 7.5,
  });
});

test.each([
  [['--threads', '0'], 'whole number from 1 to 256'],
  [['--threads', '1.5'], 'whole number'],
  [['--threads', ','], 'The list is empty'],
  [['--precision', 'int4'], '"int4" is none of: int8'],
  [['--runtime', 'caffe'], '"caffe" is none of: onnxruntime'],
  [['--optimize', 'beauty'], 'Allowed choices are latency, size, memory'],
  [['--max-accuracy-drop', '-1'], 'at least 0'],
  [['--max-accuracy-drop', 'some'], '"some" is not a number'],
  [['--min-sqnr', 'NaN'], '"NaN" is not a number'],
  [['--max-p90-ms', '0'], 'more than 0'],
  [['--min-time', '0'], 'more than 0'],
  [['--cool-down', '0'], 'more than 0'],
  [['--cool-down', '3601'], 'at most 3600'],
  [['--min-time', '99999'], 'at most 3600'],
  [['--image-size', '224x'], 'WIDTHxHEIGHT'],
  [['--image-size', '0x1'], 'WIDTHxHEIGHT'],
  [['--std', '0'], 'not 0'],
  [['--mean', '1,2,3,4,5'], 'one per channel'],
  [['--observer', 'guess'], 'Allowed choices are min-max'],
  [['--as-is', '--precision', 'int8'], 'leave out --precision'],
  [['--samples', 'a', '--samples-command', 'b'], 'not both'],
  [['--presision', 'int8'], 'Did you mean --precision?'],
  [['second.onnx'], 'too many arguments'],
])('refused: bench model.onnx %j', async (args, message) => {
  const ran = await run(['bench', 'model.onnx', ...args]);
  expect(ran).toMatchObject({ code: 2, out: '', benched: [] });
  expect(ran.err).toMatch(/^agent: [^\n]+\n$/);
  expect(ran.err).toContain(message);
});

test('--no-cool-down: nobody waits', async () => {
  const { benched } = await run(['bench', 'm.onnx', '--no-cool-down']);
  expect(benched[0]?.coolDownSeconds).toBeNull();
});

test('a missed limit from the command line: exit code 3, and the results all the same', async () => {
  const objective = { ...report.objective, maxP90Ms: 1 };
  const ran = await run(['bench', '--max-p90-ms', '1'], { report: { ...report, objective } });
  expect(ran.code).toBe(3);
  expect(ran.err).toContain('agent: --max-p90-ms is not met');
  expect(ran.out).toContain('Chosen: #4');
});

test('nothing chosen: exit code 1 after the table', async () => {
  const candidates = report.candidates.map((row) => ({
    ...row,
    verdict: 'failed' as const,
    reason: 'it crashed',
  }));
  const ran = await run(['bench'], { report: { ...report, candidates, chosen: null } });
  expect(ran).toMatchObject({ code: 1, cleanups: 1 });
  expect(ran.out).toContain('Chosen: nothing');
  expect(ran.err).toContain('nothing could be chosen: onnxruntime/fp32/t1: it crashed');
});

test.each([
  ['input', 2],
  ['failure', 1],
] as const)('an error of kind %s ends with exit code %i on one line', async (kind, code) => {
  const error = new AgentError('x', 'cannot read a.onnx: no such file', { kind });
  const ran = await run(['bench', 'a.onnx'], { error });
  expect(ran).toMatchObject({ code, out: '' });
  expect(ran.err).toBe('agent: measuring\nagent: cannot read a.onnx: no such file\n');
});

test('a bug is called unexpected; --debug shows the stack and its causes', async () => {
  const error = new TypeError('x is not a function', { cause: new Error('deeper') });
  expect((await run(['bench'], { error })).err).toContain(
    'agent: unexpected error: x is not a function; --debug shows where\n',
  );
  const { code, err } = await run(['bench', '--debug'], { error });
  expect(code).toBe(1);
  expect(err).toContain('bench.test.ts');
  expect(err).toContain('caused by: Error: deeper');
});

test('interrupted: one line, exit code 1, whatever error that caused', async () => {
  const controller = new AbortController();
  const ran = await run(['bench'], {
    signal: controller.signal,
    error: new Error('child process ended'),
    during: ({ signal }) => {
      controller.abort();
      expect(signal.aborted).toBe(true);
    },
  });
  expect(ran).toMatchObject({ code: 1, err: 'agent: measuring\nagent: interrupted\n' });
});

test('--output saves the report besides printing it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-bench-'));
  try {
    const file = join(folder, 'report.json');
    const ran = await run(['bench', '--output', file]);
    expect(ran.out).toContain('Chosen:');
    expect(benchSchema.parse(JSON.parse(await readFile(file, 'utf8'))).chosen).toBe(report.chosen);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('reporting is prepared before the work and sent after it', async () => {
  const events: string[] = [];
  const ran = await run(['bench', '--mqtt', 'mqtt://broker'], {
    during: () => events.push('measured'),
    reporting: {
      addOptions: (command) => command.option('--mqtt <url>'),
      prepare: async (options) => {
        events.push(`prepared ${String(options['mqtt'])}`);
        return async (sent) => {
          events.push(`sent ${sent.chosen}`);
        };
      },
    },
  });
  expect(ran.code).toBe(0);
  expect(events).toEqual(['prepared mqtt://broker', 'measured', 'sent onnxruntime/int8-static/t2']);
});

test('a report that cannot be sent: the results are there, exit code 1, models removed', async () => {
  const ran = await run(['bench', '--json'], {
    reporting: {
      addOptions: (command) => command,
      prepare: async () => async () => {
        throw new AgentError('unreachable', 'the broker does not answer', { kind: 'failure' });
      },
    },
  });
  expect(ran).toMatchObject({ code: 1, cleanups: 1 });
  expect(JSON.parse(ran.out)).toMatchObject({ chosen: report.chosen });
  expect(ran.err).toContain('agent: the broker does not answer\n');
});
