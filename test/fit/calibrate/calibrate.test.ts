import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { collect, feedsOf } from '../../../agent/calibration/collect.ts';
import { needsOf, toStatistics } from '../../../agent/calibration/observers/statistics.ts';
import type { Collection } from '../../../agent/calibration/observers/statistics.ts';
import { readPackage } from '../../../agent/calibration/package.ts';
import { openSamples } from '../../../agent/calibration/samples/open.ts';
import type { InputSpec } from '../../../agent/contracts/manifest.ts';
import { calibrate } from '../../../agent/fit/calibrate/calibrate.ts';
import { groupBySize, sampleValues } from '../../../agent/fit/calibrate/calibration-groups.ts';
import { inChild, openChild } from '../../../agent/fit/children.ts';
import { makeScratch } from '../../../agent/fit/scratch.ts';
import type { Scratch } from '../../../agent/fit/scratch.ts';
import { exposeTensors } from '../../../agent/model/onnx/expose.ts';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { openOnnx, writeOnnx } from '../../../agent/model/onnx/open.ts';
import type { OnnxModel } from '../../../agent/model/onnx/open.ts';
import { floatTensor } from '../../../agent/model/onnx/tensor.ts';
import { onnxRuntime } from '../../../agent/runtime/onnxruntime.ts';
import type { TensorDescription } from '../../../agent/runtime/types.ts';
import { corpusPath, describeWithCorpus } from '../../support/corpus.ts';
import { tinyModel } from '../../support/onnx-models.ts';

let folder: string;
let scratch: Scratch;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgefit-calibrate-'));
  scratch = await makeScratch();
});
afterAll(async () => {
  await scratch.remove();
  await rm(folder, { recursive: true });
});

interface Case {
  readonly model: OnnxModel;
  readonly path: string;
  readonly inputs: Readonly<Record<string, InputSpec>>;
  readonly to?: number;
}

const hooks = { signal: new AbortController().signal, progress: () => undefined };
const innerTensors = ({ graph }: OnnxModel) => graph.node.flatMap(({ output }) => output);

/** As the product does it: in a child, with reductions or in groups. */
function calibrated({ model, path, inputs, to }: Case, observer: 'min-max' | 'mse') {
  return inChild({
    name: 'calibration',
    signal: hooks.signal,
    scratch,
    use: (worker) =>
      calibrate({
        model,
        tensors: [...graphInputs(model), ...innerTensors(model)],
        needs: needsOf(observer, true),
        job: { origin: { path }, inputs, image: {}, to },
        count: null,
        threads: 2,
        worker,
        scratch,
        hooks,
      }),
  });
}

const graphInputs = ({ graph }: OnnxModel) => graph.input.map(({ name }) => name ?? '');

/** The plain way: every tensor an output, looked at value by value. */
async function observed({ model, path, inputs, to }: Case, observer: 'min-max' | 'mse') {
  const exposed = join(folder, 'exposed.onnx');
  await writeFile(exposed, writeOnnx(exposeTensors(model, innerTensors(model))));
  const options = { threads: 1, optimization: 'disabled', arena: false } as const;
  const session = await onnxRuntime.open(exposed, options);
  const source = await openSamples({ path }, inputs, session.describe(), { to });
  const tensors = [...graphInputs(model), ...innerTensors(model)];
  const found = await collect(session, feedsOf(source), {
    tensors,
    needs: needsOf(observer, true),
  });
  await session.close();
  return found;
}

function expectSame(actual: Collection, expected: Collection): void {
  expect(actual.samples).toBe(expected.samples);
  expect([...actual.tensors.keys()].toSorted()).toEqual([...expected.tensors.keys()].toSorted());
  for (const [name, { channelSums, ...state }] of expected.tensors) {
    const { channelSums: sums, ...other } = actual.tensors.get(name)!;
    expect([name, other]).toEqual([name, state]);
    const scale = Math.max(Math.abs(state.min), Math.abs(state.max)) * state.channelCount;
    expect(sums?.length).toBe(channelSums?.length);
    channelSums?.forEach((sum, i) => {
      expect(Math.abs((sums?.[i] ?? NaN) - sum)).toBeLessThanOrEqual(1e-6 * scale + 1e-12);
    });
  }
}

/** Samples of two rows; b has values that are not finite, s is a scalar, h is in halves. */
async function oddModel(rows: readonly (readonly number[])[]): Promise<Case> {
  const model = tinyModel({
    inputs: { x: [1, [1, 'n', 2]] },
    outputs: { e: [1, [1, 'n', 2]], h: [10, [1, 'n', 2]], s: [1, []] },
    initializers: [floatTensor('two', 2)],
    nodes: [
      makeNode('Mul', ['x', 'two'], ['a']),
      makeNode('Log', ['a'], ['b']),
      makeNode('Abs', ['a'], ['e']),
      makeNode('Cast', ['a'], ['h'], { attributes: { to: 10n } }),
      makeNode('ReduceMax', ['a'], ['s'], { attributes: { keepdims: 0n } }),
      makeNode('Identity', ['b'], ['d']),
    ],
  });
  const path = join(folder, `rows-${rows.join('-')}.npy`);
  await writeFile(path, npy(rows));
  return { model, path, inputs: {} };
}

/** float32 in the .npy format, version 1.0. */
function npy(
  rows: readonly (readonly number[])[],
  shape = `(${rows.length}, 1, 1, 2)`,
): Uint8Array {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`;
  const header = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11).concat('\n');
  const start = Buffer.from('\x93NUMPY\x01\x00\0\0', 'latin1');
  start.writeUInt16LE(header.length, 8);
  return Buffer.concat([
    start,
    Buffer.from(header),
    Buffer.from(Float32Array.from(rows.flat()).buffer),
  ]);
}

test.each([
  [
    'in the first sample',
    [
      [1, -2],
      [3, 0.5],
    ],
  ],
  [
    'in a later sample',
    [
      [1, 2],
      [3, 0.5],
      [0, 1],
    ],
  ],
  [
    'nowhere',
    [
      [1, 2],
      [3, 0.5],
    ],
  ],
])(
  'values that are not finite %s are counted, not taken',
  async (_, rows) => {
    const one = await oddModel(rows);
    expectSame(await calibrated(one, 'min-max'), await observed(one, 'min-max'));
    expectSame(await calibrated(one, 'mse'), await observed(one, 'mse'));
  },
  60_000,
);

/** 640 x 640 values that cross zero, from 640. */
async function wideModel(opset: number): Promise<Case> {
  const columns = Array.from({ length: 640 }, (_, i) => Math.sin(i * i));
  const model = tinyModel({
    opset,
    inputs: { x: [1, [1, 640, 1]] },
    outputs: { y: [1, [1, 640, 640]] },
    initializers: [{ ...floatTensor('columns', columns), dims: [1, 1, 640] }],
    nodes: [makeNode('Mul', ['x', 'columns'], ['y'])],
  });
  const path = join(folder, 'wide.npy');
  const rows = [1, 2].map((seed) => Array.from({ length: 640 }, (_, i) => Math.cos(seed * i * i)));
  await writeFile(path, npy(rows, '(2, 1, 640, 1)'));
  return { model, path, inputs: {} };
}

test('a choice of the values of a large tensor gives the ranges that all values give', async () => {
  const one = await wideModel(17);
  const [all, some] = [await observed(one, 'mse'), await calibrated(one, 'mse')];
  const [whole, part] = [all.tensors.get('y')!, some.tensors.get('y')!];
  const counted = part.histogram!.counts.reduce((sum, count) => sum + count, 0);
  // Four shares a factor with 640 x 640, as does five, as does six: every seventh value is taken.
  expect(counted).toBe(2 * Math.ceil((640 * 640) / 7));
  expect([part.min, part.max, part.count]).toEqual([whole.min, whole.max, whole.count]);
  for (const observer of ['percentile', 'mse', 'entropy'] as const) {
    const wide = toStatistics(all, observer).tensors.get('y')!;
    const near = toStatistics(some, observer).tensors.get('y')!;
    expect(near.min / wide.min).toBeCloseTo(1, 1);
    expect(near.max / wide.max).toBeCloseTo(1, 1);
  }
}, 60_000);

test('before values could be skipped, all of them are looked at', async () => {
  const one = await wideModel(9);
  expectSame(await calibrated(one, 'mse'), await observed(one, 'mse'));
}, 60_000);

test('a step meets every row, column and channel', () => {
  const tensor = (...shape: readonly number[]): TensorDescription => {
    return { name: 't', dtype: 'float32', shape };
  };
  expect(sampleValues(tensor(1, 2, 6), 12, 12)).toMatchObject({ every: 1, bytes: 48 });
  // Two, three and four share a factor with twelve.
  expect(sampleValues(tensor(1, 2, 6), 12, 11)).toMatchObject({ every: 5, bytes: 12 });
  expect(sampleValues(tensor(1, 2, 6), undefined, 3).every).toBe(1);
});

test('groups keep their order and their limit', () => {
  const tensor = (name: string, ...shape: readonly (number | string)[]): TensorDescription => {
    return { name, dtype: 'float32', shape };
  };
  const tensors = [
    tensor('a', 2),
    tensor('b', 3),
    tensor('c', 1),
    tensor('d', 'n'),
    tensor('e', 1),
  ];
  const names = (least: number) =>
    groupBySize(tensors, least).map((group) => group.map(({ name }) => name).join(''));
  expect(names(20)).toEqual(['ab', 'c', 'd', 'e']);
  // The largest tensor has 12 bytes: nothing is gained by less.
  expect(names(1)).toEqual(['a', 'b', 'c', 'd', 'e']);
  expect(names(1000)).toEqual(['abc', 'd', 'e']);
});

test('a child of a run that is not shared is its own', async () => {
  const worker = await openChild({ name: 'another', signal: hooks.signal, scratch });
  const pid = await inChild({
    name: 'one',
    signal: hooks.signal,
    scratch,
    use: (one) => Promise.resolve(one.pid),
  });
  expect(pid).not.toBe(worker.pid);
  await worker.close();
}, 60_000);

describeWithCorpus('on real models', () => {
  test.each(['mnist-cntk', 'st-mobilenet-v2-035-128-flowers', 'mlptiny-ad01'])(
    '%s: reductions say what the values say',
    async (name) => {
      const pack = await readPackage(corpusPath('packages', `${name}.json`));
      const model = openOnnx(await readFile(pack.modelPath));
      const path = pack.calibration?.path ?? '';
      const one = { model, path, inputs: pack.inputs, to: 5 };
      expectSame(await calibrated(one, 'min-max'), await observed(one, 'min-max'));
    },
    120_000,
  );
});
