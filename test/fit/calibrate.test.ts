import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { collect, feedsOf } from '../../agent/calibration/collect.ts';
import { needsOf } from '../../agent/calibration/observers/statistics.ts';
import type { Collection } from '../../agent/calibration/observers/statistics.ts';
import { readPackage } from '../../agent/calibration/package.ts';
import { openSamples } from '../../agent/calibration/samples/open.ts';
import type { InputSpec } from '../../agent/contracts/manifest.ts';
import { calibrate } from '../../agent/fit/calibrate.ts';
import { groupBySize } from '../../agent/fit/calibration-groups.ts';
import { inChild, openChild } from '../../agent/fit/children.ts';
import { makeScratch } from '../../agent/fit/scratch.ts';
import type { Scratch } from '../../agent/fit/scratch.ts';
import { exposeTensors } from '../../agent/model/onnx/expose.ts';
import { makeNode } from '../../agent/model/onnx/graph.ts';
import { openOnnx, writeOnnx } from '../../agent/model/onnx/open.ts';
import type { OnnxModel } from '../../agent/model/onnx/open.ts';
import { floatTensor } from '../../agent/model/onnx/tensor.ts';
import { onnxRuntime } from '../../agent/runtime/onnxruntime.ts';
import type { TensorDescription } from '../../agent/runtime/types.ts';
import { corpusPath, describeWithCorpus } from '../support/corpus.ts';
import { tinyModel } from '../support/onnx-models.ts';

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

/** float32 in the .npy format, version 1.0: [samples, 1, 1, 2]. */
function npy(rows: readonly (readonly number[])[]): Uint8Array {
  const shape = `(${rows.length}, 1, 1, 2)`;
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
