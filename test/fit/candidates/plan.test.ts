import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { plan } from '../../../agent/fit/candidates/plan.ts';
import { refuseUnpublished } from '../../../agent/fit/candidates/runtimes.ts';
import { threadSweep } from '../../../agent/fit/candidates/threads.ts';
import type { Plan, ProfileScheme } from '../../../agent/fit/types.ts';
import { cpu, profile, request, summary } from '../fixtures.ts';

const ids = (made: Plan) => made.candidates.map(({ id }) => id);
const why = (made: Plan, precision: string) =>
  made.notTried.find((one) => one.precision === precision)?.why;

test('a CNN with samples on x86 with VNNI', () => {
  const made = plan(summary(), cpu({ coresUsable: 2 }), profile(), request());
  expect(ids(made)).toEqual([
    'onnxruntime/fp32/t1',
    'onnxruntime/fp32/t2',
    'onnxruntime/int8-static/t1',
    'onnxruntime/int8-static/t2',
    'onnxruntime/int8-dynamic/t1',
    'onnxruntime/int8-dynamic/t2',
  ]);
  expect(made.candidates[2]).toMatchObject({
    precision: 'int8',
    method: 'static',
    scheme: { activations: 'u8', weights: 's8', perChannel: true, reduceRange: false },
    why: '21 nodes (Conv/Gemm) can run on integers; VNNI multiplies u8 by s8',
  });
  expect(made.candidates[4]?.why).toContain('1 node (Gemm) can run on integers without samples');
  expect(made.candidates[4]?.why).toContain('20 Convs stay float');
  expect(made.notTried).toEqual([{ precision: 'fp16', why: 'this CPU computes fp16 in fp32' }]);
});

test.each([
  [1, [1]],
  [2, [1, 2]],
  [3, [1, 2, 3]],
  [4, [1, 2, 4]],
  [5, [1, 2, 5]],
  [6, [1, 2, 4, 6]],
  [8, [1, 2, 4, 8]],
  [12, [1, 2, 4, 8, 12]],
  [64, [1, 2, 4, 8, 64]],
])('%i cores: threads %j', (cores, expected) => {
  expect(threadSweep(cores)).toEqual(expected);
});

test.each([
  ['a quota below one core still leaves one thread', 0.5, 4, ['t1']],
  ['part of a core is not a thread', 1.9, 4, ['t1']],
  ['without a quota all online cores count', null, 2, ['t1', 't2']],
  ['a machine that says nothing gets one thread', null, null, ['t1']],
])('%s', (_name, coresUsable, coresOnline, expected) => {
  const made = plan(
    summary(),
    cpu({ coresUsable, coresOnline }),
    profile(),
    request({ asIs: true }),
  );
  expect(ids(made).map((id) => id.split('/')[2])).toEqual(expected);
});

test('no more threads than the profile finds useful', () => {
  const made = plan(
    summary(),
    cpu({ coresUsable: 16 }),
    profile({ threads: { max: 4 } }),
    request({ asIs: true }),
  );
  expect(ids(made).map((id) => id.split('/')[2])).toEqual(['t1', 't2', 't4']);
});

test('a scheme for another runtime is not tried on this one', () => {
  const schemes = [
    { precision: 'fp16', method: 'fp16', runtimes: ['tensorrt'], why: 'its GPU' } as const,
  ];
  const jetson = profile({ id: 'jetson', schemes, notWorthTrying: [] });
  const made = plan(summary(), cpu({ coresUsable: 1 }), jetson, request());
  expect(ids(made)).toEqual(['onnxruntime/fp32/t1']);
  expect(why(made, 'fp16')).toBe('profile jetson does not list it for onnxruntime');
});

test('thread counts that were asked for are taken as they are, sorted and once', () => {
  const made = plan(summary(), cpu(), profile(), request({ asIs: true, threads: [8, 1, 8] }));
  expect(ids(made)).toEqual(['onnxruntime/fp32/t1', 'onnxruntime/fp32/t8']);
});

test.each([
  ['no samples', summary(), request({ samplesAvailable: false }), 'int8-static', '--samples'],
  [
    'nothing with integer kernels',
    summary({ opCounts: new Map([['Softmax', 1]]), hasMatMul: false, hasConv: false }),
    request(),
    'int8-static',
    'no Conv, MatMul, Gemm node',
  ],
  [
    'a pure CNN is not quantized dynamically',
    summary({ opCounts: new Map([['Conv', 3]]), hasMatMul: false }),
    request(),
    'int8-dynamic',
    'Conv is slower this way',
  ],
  [
    'a GRU has no dynamic kernel',
    summary({
      opCounts: new Map([['GRU', 1]]),
      hasMatMul: false,
      hasConv: false,
      hasRecurrent: true,
    }),
    request(),
    'int8-dynamic',
    'no MatMul, Gemm, LSTM with constant weights',
  ],
  [
    'an already quantized model',
    summary({ alreadyQuantized: true, precision: 'int8' }),
    request(),
    'int8-static',
    'already quantized',
  ],
  [
    'fp16 weights',
    summary({ precision: 'fp16' }),
    request({ precisions: ['fp16'] }),
    'fp16',
    'fp16 already',
  ],
  ['not asked for', summary(), request({ precisions: ['fp16'] }), 'int8-static', 'not asked for'],
])('not tried: %s', (_name, model, asked, precision, expected) => {
  const made = plan(model, cpu(), profile(), asked);
  expect(why(made, precision)).toContain(expected);
  expect(made.candidates.filter(({ id }) => id.includes(precision))).toEqual(
    precision === 'fp16' ? made.candidates.filter(({ method }) => method === 'none') : [],
  );
});

test('an LSTM is quantized dynamically', () => {
  const model = summary({ opCounts: new Map([['LSTM', 2]]), hasMatMul: false, hasConv: false });
  const made = plan(model, cpu({ coresUsable: 1 }), profile(), request());
  expect(ids(made)).toEqual(['onnxruntime/fp32/t1', 'onnxruntime/int8-dynamic/t1']);
});

test('what the profile advises against is measured when it is asked for', () => {
  const made = plan(
    summary(),
    cpu({ coresUsable: 1 }),
    profile(),
    request({ precisions: ['fp16'] }),
  );
  expect(ids(made)).toEqual(['onnxruntime/fp32/t1', 'onnxruntime/fp16/t1']);
  expect(made.candidates[0]?.why).toContain('though not asked for');
});

test('one method of int8 can be asked for', () => {
  const made = plan(
    summary(),
    cpu({ coresUsable: 1 }),
    profile(),
    request({ precisions: ['fp32', 'int8-dynamic'] }),
  );
  expect(ids(made)).toEqual(['onnxruntime/fp32/t1', 'onnxruntime/int8-dynamic/t1']);
  expect(why(made, 'int8-static')).toContain('not asked for');
});

test('the order of the profile is the order to try', () => {
  const schemes = [
    ...profile().schemes,
    { precision: 'fp16', method: 'fp16', why: 'FP16 arithmetic' } as const,
  ];
  const first = profile({
    schemes,
    precisions: ['fp16', 'int8', 'fp32'],
    notWorthTrying: [],
  });
  const made = plan(summary(), cpu({ coresUsable: 1 }), first, request());
  expect(ids(made).map((id) => id.split('/')[1])).toEqual([
    'fp32',
    'fp16',
    'int8-static',
    'int8-dynamic',
  ]);
});

test('as is: only the file, in its own precision', () => {
  const quantized = summary({ alreadyQuantized: true, precision: 'int8' });
  const made = plan(quantized, cpu({ coresUsable: 1 }), profile(), request({ asIs: true }));
  expect(ids(made)).toEqual(['onnxruntime/int8/t1']);
  expect(made.candidates[0]?.why).toBe('the file as it is, already quantized');
});

test('a quantized model that can be converted: the file and its converted form, without samples', () => {
  const quantized = summary({ alreadyQuantized: true, convertible: true, precision: 'int8' });
  const asked = request({ samplesAvailable: false });
  const made = plan(quantized, cpu({ coresUsable: 1 }), profile(), asked);
  expect(ids(made)).toEqual(['onnxruntime/int8/t1', 'onnxruntime/int8-static/t1']);
  expect(made.candidates[1]?.why).toContain('already quantized: its own integers');
  expect(why(made, 'int8-dynamic')).toContain('already quantized');
});

const scheme = (activations: 's8' | 'u8', changes: Partial<ProfileScheme> = {}): ProfileScheme => ({
  precision: 'int8',
  method: 'static',
  activations,
  weights: 's8',
  perChannel: true,
  reduceRange: false,
  why: `${activations} kernels`,
  ...changes,
});

test('ARM measures both schemes that its profile lists, the first under the plain name', () => {
  const arm = profile({ id: 'rpi-5', schemes: [scheme('s8'), scheme('u8'), scheme('s8')] });
  const facts = cpu({ arch: 'arm64', features: ['asimd', 'asimddp'], coresUsable: 1 });
  const made = plan(summary(), facts, arm, request({ precisions: ['int8-static'] }));
  const rows = made.candidates.slice(1);
  expect(rows.map(({ id, scheme: { activations } }) => [id, activations])).toEqual([
    ['onnxruntime/int8-static/t1', 's8'],
    ['onnxruntime/int8-static-u8/t1', 'u8'],
  ]);
  expect(rows.every((one) => !one.scheme.reduceRange)).toBe(true);
});

test('ARM without schemes in its profile gets signed activations', () => {
  const facts = cpu({ arch: 'arm64', features: ['asimd'], coresUsable: 1 });
  const bare = profile({ schemes: [] });
  const made = plan(summary(), facts, bare, request({ precisions: ['int8-static'] }));
  expect(made.candidates[1]?.scheme.activations).toBe('s8');
});

test.each([
  [['avx2'], true],
  [['avx2', 'avx512f'], true],
  [['avx2', 'avx_vnni'], false],
  [['avx512_vnni'], false],
  [['amx_int8'], false],
])('x86 with %j: 7-bit weights %s, whatever the profile says', (features, expected) => {
  const listed = profile({ schemes: [scheme('u8', { reduceRange: !expected })] });
  const made = plan(summary(), cpu({ features }), listed, request({ precisions: ['int8'] }));
  const found = made.candidates.filter(({ precision }) => precision === 'int8');
  expect(found.length).toBeGreaterThan(0);
  expect(found.every((one) => one.scheme.reduceRange === expected)).toBe(true);
  expect(found[0]?.why).toContain(expected ? 'this CPU has no VNNI' : 'it has VNNI');
});

test('a runtime that cannot be used is named, another takes its place', () => {
  const made = plan(
    summary(),
    cpu({ coresUsable: 1 }),
    profile({ runtimes: ['tflite'] }),
    request(),
  );
  expect(made.candidates[0]?.runtime).toBe('onnxruntime');
  expect(why(made, 'runtime tflite')).toContain('does not run onnx files');
});

test('a TFLite file runs with TFLite, whatever the profile prefers', () => {
  const opCounts = new Map([['CONV_2D', 3]]);
  const model = summary({ format: 'tflite', opCounts, hasMatMul: false });
  const schemes = [scheme('s8', { runtimes: ['tflite'] })];
  const made = plan(model, cpu({ coresUsable: 1 }), profile({ schemes }), request());
  expect(ids(made)).toEqual(['tflite/fp32/t1', 'tflite/int8-static/t1']);
  expect(made.candidates[1]?.why).toContain('3 nodes (CONV_2D) can run on integers');
});

describe('32-bit ARM, for which there is no onnxruntime', () => {
  const arm = cpu({ arch: 'arm', features: ['neon'], coresUsable: 1 });
  const mixed = cpu({ arch: 'arm64', userland: 'arm', features: ['asimd'], coresUsable: 1 });
  const both = profile({ runtimes: ['tflite', 'onnxruntime'], schemes: [] });

  test.each([arm, mixed])(
    'an ONNX file is refused in one line, and not run all the same',
    (machine) => {
      expect(() => plan(summary(), machine, both, request())).toThrow(
        'onnxruntime: there is no build of it for arm',
      );
      expect(() => refuseUnpublished('onnx', machine)).toThrow(
        'nothing runs onnx files on arm (no build of onnxruntime, tensorrt): give the model as a tflite file, or install a 64-bit system',
      );
    },
  );

  test('a TFLite file runs, and the other runtime is named', () => {
    const made = plan(summary({ format: 'tflite' }), arm, both, request({ asIs: true }));
    expect(ids(made)).toEqual(['tflite/fp32/t1']);
    expect(() => refuseUnpublished('tflite', arm)).not.toThrow();
  });

  test('64-bit machines are not concerned', () => {
    expect(() => refuseUnpublished('onnx', cpu({ arch: 'arm64' }))).not.toThrow();
    expect(() => refuseUnpublished('onnx', cpu({ arch: 'unknown' }))).not.toThrow();
  });
});

test('what is not worth trying with one runtime may be with another', () => {
  const advice = [
    { precision: 'int8', runtimes: ['tensorrt' as const], why: 'no INT8 on the GPU' },
  ];
  const made = plan(
    summary(),
    cpu({ coresUsable: 1 }),
    profile({ notWorthTrying: advice }),
    request(),
  );
  expect(ids(made)).toContain('onnxruntime/int8-static/t1');
});

test('nothing can run the file', () => {
  expect(() => plan(summary(), cpu(), profile(), request({ runtimes: ['tflite'] }))).toThrow(
    'cannot run this onnx file as asked (tflite: it does not run onnx files): use --runtime onnxruntime',
  );
});

test('whatever the model and machine: float first, unique ids, a why for everything', () => {
  const model = fc.record({
    opCounts: fc
      .dictionary(fc.constantFrom('Conv', 'MatMul', 'Gemm', 'LSTM', 'GRU', 'Relu'), fc.nat(50))
      .map((counts) => new Map(Object.entries(counts))),
    hasMatMul: fc.boolean(),
    hasConv: fc.boolean(),
    alreadyQuantized: fc.boolean(),
    precision: fc.constantFrom('int8' as const, 'fp16' as const, 'fp32' as const),
    weightBytes: fc.nat(),
  });
  const machine = fc.record({
    arch: fc.constantFrom('x64', 'arm64'),
    coresUsable: fc.option(fc.double({ min: 0.1, max: 200, noNaN: true })),
    features: fc.subarray(['avx2', 'avx512_vnni', 'asimddp']),
  });
  const asked = fc.record({
    samplesAvailable: fc.boolean(),
    asIs: fc.boolean(),
    precisions: fc.option(fc.subarray(['int8', 'fp16', 'fp32', 'int8-static'] as const), {
      nil: undefined,
    }),
  });
  const listed = fc.subarray([scheme('s8'), scheme('u8'), scheme('u8', { perChannel: false })]);
  fc.assert(
    fc.property(model, machine, asked, listed, (shape, hardware, wanted, schemes) => {
      const made = plan(summary(shape), cpu(hardware), profile({ schemes }), request(wanted));
      expect(made.candidates[0]?.method).toBe('none');
      expect(new Set(ids(made)).size).toBe(made.candidates.length);
      expect(made.candidates.length).toBeLessThanOrEqual(30);
      const reasons = [...made.candidates, ...made.notTried].map((one) => one.why);
      expect(reasons.filter((text) => text === '' || text.includes('\n'))).toEqual([]);
      const statics = made.candidates.filter(({ method }) => method === 'static');
      expect(statics.length > 0 && !wanted.samplesAvailable).toBe(false);
    }),
  );
});
