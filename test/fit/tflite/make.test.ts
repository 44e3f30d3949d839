import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { schemePresets } from '../../../agent/contracts/scheme.ts';
import { makeScratch } from '../../../agent/fit/scratch.ts';
import type { Scratch } from '../../../agent/fit/scratch.ts';
import { TfliteMaker } from '../../../agent/fit/tflite/make.ts';
import { bytesOf } from '../../../agent/model/bytes.ts';
import { writeModel } from '../../../agent/model/open.ts';
import type { Model } from '../../../agent/model/open.ts';
import type { TfliteModel } from '../../../agent/model/tflite/types.ts';
import { smallNet } from '../../quantize/tflite/layers.ts';
import { constant, sparsely } from '../../support/tflite-models.ts';

let scratch: Scratch;
beforeAll(async () => {
  scratch = await makeScratch();
});
afterAll(() => scratch.remove());

const maker = (float: TfliteModel) =>
  new TfliteMaker({
    float,
    calibration: null,
    calibrationCount: null,
    threads: 1,
    scratch,
    hooks: { signal: new AbortController().signal, progress: () => undefined },
  });

test('versions that need no samples', async () => {
  const made = maker(smallNet());
  for (const [scheme, type] of [
    ['fp16', 'FLOAT16'],
    ['weight-int8', 'INT8'],
    ['int8-dynamic', 'INT8'],
  ] as const) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other
    const { model } = await made.make(schemePresets[scheme]);
    if (model.format !== 'tflite') throw new Error('not TFLite');
    const types = model.subgraphs.flatMap(({ tensors }) => tensors.map((one) => one.type));
    expect(types).toContain(type);
  }
});

test('static versions need samples or ranges', async () => {
  await expect(maker(smallNet()).make(schemePresets['int8-static'])).rejects.toThrow(
    'needs calibration samples',
  );
});

test('names and rules that match nothing are found', async () => {
  const scheme = { ...schemePresets['int8-static'], excluded: ['nowhere'] };
  expect(await maker(smallNet()).unmatched(scheme)).toEqual([expect.stringContaining('nowhere')]);
});

test('a model that computes with integers is kept, never quantized twice', async () => {
  const { model: float } = await maker(smallNet()).make(schemePresets['int8-dynamic']);
  if (float.format !== 'tflite') throw new Error('not TFLite');
  // Dynamic weights are not finished: int8-static may go on from them.
  await expect(maker(float).make(schemePresets['int8-static'])).rejects.toThrow(
    'needs calibration samples',
  );
});

test('what stays float of a float16 file takes no more than it did there', async () => {
  const { model: half } = await maker(smallNet()).make(schemePresets.fp16);
  if (half.format !== 'tflite') throw new Error('not TFLite');
  const { model } = await maker(half).make({ ...schemePresets.fp16, method: 'none' });
  const bytes = (one: Model) => Buffer.concat(writeModel(one)).length;
  expect(bytes(model)).toBeLessThanOrEqual(bytes(half));
});

test('of a float32 file nothing is stored in 16 bits, whether it loses by it or not', async () => {
  const { subgraphs, ...rest } = smallNet();
  const ones = subgraphs.map((graph) => ({
    ...graph,
    tensors: graph.tensors.map((one) =>
      one.data === null || one.type !== 'FLOAT32'
        ? one
        : { ...one, data: bytesOf(new Float32Array(one.data.length / 4).fill(1)) },
    ),
  }));
  const float = { ...rest, subgraphs: ones };
  const { model } = await maker(float).make({ ...schemePresets.fp16, method: 'none' });
  if (model.format !== 'tflite') throw new Error('not TFLite');
  const types = model.subgraphs.flatMap(({ tensors }) => tensors.map(({ type }) => type));
  expect(types).not.toContain('FLOAT16');
});

test('what is stored sparsely is named: versions are dense', async () => {
  const sparse = smallNet();
  const subgraphs = sparse.subgraphs.map((graph) => ({
    ...graph,
    tensors: [...graph.tensors, sparsely(constant('sparse', Float32Array.of(3, 5)))],
  }));
  const made = maker({ ...sparse, subgraphs });
  await made.make(schemePresets['weight-int8']);
  expect(made.warnings).toEqual([
    expect.stringMatching(/^1 weight tensor is stored sparsely: versions hold all their zeros/),
  ]);
  const dense = maker(smallNet());
  await dense.make(schemePresets['weight-int8']);
  expect(dense.warnings).toEqual([]);
});
