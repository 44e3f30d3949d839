import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { onnxRuntime } from '../../agent/runtime/onnxruntime.ts';
import type { OpenOptions } from '../../agent/runtime/types.ts';
import { makeNode } from '../../agent/model/onnx/graph.ts';
import { DataType } from '../../agent/model/onnx/tensor.ts';
import { tinyModel as anyShapeModel, modelBytes } from '../support/onnx-models.ts';
import { type TinyModel, type TinyNode, tinyModel } from '../support/tiny-onnx.ts';

const OPTIONS: OpenOptions = { threads: 1, optimization: 'all', arena: true };
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgefit-onnxruntime-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function save(name: string, bytes: Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, bytes);
  return path;
}

const x = { name: 'x', shape: ['batch', 2] };
const y = { name: 'y', shape: ['batch', 2] };
const weights = [{ name: 'w', shape: [2, 2], data: new Float32Array([1, 2, 3, 4]) }];
const matmul: TinyModel = {
  inputs: [x],
  outputs: [y],
  weights,
  nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'], name: 'mm' }],
};
const oneNode = (node: Partial<TinyNode>): TinyModel => ({
  ...matmul,
  nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['y'], name: 'n', ...node }],
});
const feeds = (shape: readonly number[], data: Float32Array) => ({
  x: { dtype: 'float32' as const, shape, data },
});

test('says its version', async () => {
  expect(await onnxRuntime.version()).toMatch(/^1\.\d+\.\d+/);
});

test('describes and runs a model, once or prepared', async () => {
  const session = await onnxRuntime.open(await save('matmul.onnx', tinyModel(matmul)), OPTIONS);
  expect(session.describe()).toEqual({
    inputs: [{ ...x, dtype: 'float32' }],
    outputs: [{ ...y, dtype: 'float32' }],
  });
  // [1 1] x [[1 2] [3 4]] = [4 6], and [2 0] x ... = [2 4]
  const input = feeds([2, 2], new Float32Array([1, 1, 2, 0]));
  const output = { y: { dtype: 'float32', shape: [2, 2], data: new Float32Array([4, 6, 2, 4]) } };
  expect(await session.run(input)).toEqual(output);
  const run = session.prepare!(input);
  expect(await run()).toMatchObject({ y: { data: output.y.data } });
  expect(await run()).toMatchObject({ y: { data: output.y.data } });
  await session.close();
});

test('passes every element type through, float16 as raw bits', async () => {
  const values = {
    float32: new Float32Array([-1.5]),
    float64: new Float64Array([0.1]),
    float16: new Uint16Array([0x3e00]),
    uint8: new Uint8Array([200]),
    int8: new Int8Array([-100]),
    int32: new Int32Array([-7]),
    int64: new BigInt64Array([-(2n ** 60n)]),
    bool: new Uint8Array([1]),
    string: ['text'],
  } as const;
  const types = Object.keys(values) as (keyof typeof values)[];
  const model = tinyModel({
    inputs: types.map((type) => ({ name: type, type, shape: [1] })),
    outputs: types.map((type) => ({ name: `${type}_out`, type, shape: [1] })),
    nodes: types.map((type) => ({ op: 'Identity', inputs: [type], outputs: [`${type}_out`] })),
  });
  const session = await onnxRuntime.open(await save('types.onnx', model), OPTIONS);
  const tensors = types.map((dtype) => ({ dtype, shape: [1], data: values[dtype] }));
  const outputs = await session.run(Object.fromEntries(tensors.map((t) => [t.dtype, t])));
  expect(outputs).toEqual(Object.fromEntries(tensors.map((t) => [`${t.dtype}_out`, t])));
  await session.close();
});

test('writes a profile on close, with weights where repacking is off', async () => {
  const path = await save('profiled.onnx', tinyModel(matmul));
  const profilePrefix = join(folder, 'profile');
  const session = await onnxRuntime.open(path, { ...OPTIONS, profilePrefix, prepack: false });
  await session.run(feeds([1, 2], new Float32Array(2)));
  await session.close();
  const file = (await readdir(folder)).find((name) => name.startsWith('profile'))!;
  const events = JSON.parse(await readFile(join(folder, file), 'utf8')) as { args: object }[];
  expect(events.map(({ args }) => args)).toContainEqual(
    expect.objectContaining({
      op_name: 'MatMul',
      input_type_shape: [{ float: [1, 2] }, { float: [2, 2] }],
    }),
  );
});

function tensor(shape: number[], ...values: number[]) {
  return { dtype: 'float32' as const, shape, data: Float32Array.from(values) };
}

test('an input whose shape is not declared takes any', async () => {
  const { FLOAT } = DataType;
  const model = anyShapeModel({
    inputs: { any: [FLOAT], scalar: [FLOAT, []] },
    outputs: { y: [FLOAT] },
    nodes: [makeNode('Mul', ['any', 'scalar'], ['y'])],
  });
  const session = await onnxRuntime.open(await save('any.onnx', modelBytes(model)), OPTIONS);
  const scalar = tensor([], 3);
  for (const any of [tensor([], 2), tensor([2], 1, 2), tensor([1, 1, 2], 1, 2)]) {
    // oxlint-disable-next-line no-await-in-loop -- one run after the other
    const outputs = await session.run({ any, scalar });
    expect(outputs['y']).toEqual({ ...any, data: any.data.map((value) => value * 3) });
  }
  await session.close();
});

describe('feeds that do not fit are refused by name', () => {
  const row = new Float32Array(2);
  test.each([
    ['missing', {}, "input 'x': is missing, expected float32[batch,2]"],
    [
      'unknown',
      { ...feeds([1, 2], row), z: { dtype: 'float32' as const, shape: [1], data: row } },
      "input 'z': is not an input of the model, which has: x",
    ],
    ['wrong size', feeds([2, 1], row), "input 'x': expected float32[batch,2], got float32[2,1]"],
    ['wrong rank', feeds([2], row), "input 'x': expected float32[batch,2], got float32[2]"],
    [
      'wrong type',
      { x: { dtype: 'int32' as const, shape: [1, 2], data: new Int32Array(2) } },
      "input 'x': expected float32[batch,2], got int32[1,2]",
    ],
    ['too few values', feeds([3, 2], row), "input 'x': has 2 values, but float32[3,2] holds 6"],
  ])('%s', async (_, bad, message) => {
    const session = await onnxRuntime.open(await save('feeds.onnx', tinyModel(matmul)), OPTIONS);
    await expect(session.run(bad)).rejects.toMatchObject({ code: 'BAD_INPUT', message });
    await session.close();
  });
});

describe('a model that cannot be loaded is refused in one line', () => {
  const external = [{ name: 'w', shape: [2, 2], data: { file: 'weights.bin' } }];
  const float64 = { name: 'x', type: 'float64' as const, shape: [2, 2] };
  test.each<[string, Uint8Array, string, RegExp]>([
    [
      'opset',
      tinyModel({ ...matmul, opset: 99 }),
      'UNSUPPORTED',
      /opset 99 of ai.onnx is too new, this onnxruntime supports up to \d+:/,
    ],
    ['ir', tinyModel({ ...matmul, irVersion: 99 }), 'UNSUPPORTED', /IR version 99 is too new/],
    [
      'op',
      tinyModel(oneNode({ op: 'Frob' })),
      'UNSUPPORTED',
      /op Frob \(node 'n'\) does not exist in opset 13/,
    ],
    [
      'domain',
      tinyModel({ ...oneNode({ op: 'Quant', domain: 'a.b' }), domains: { 'a.b': 1 } }),
      'UNSUPPORTED',
      /op Quant of domain 'a.b' is unknown to onnxruntime/,
    ],
    [
      'undeclared',
      tinyModel(oneNode({ op: 'Quant', domain: 'a.b' })),
      'UNSUPPORTED',
      /op Quant of domain 'a.b' \(node 'n'\) is unknown/,
    ],
    [
      'kernel',
      tinyModel({
        ...oneNode({ op: 'Det' }),
        inputs: [float64],
        outputs: [{ name: 'y', type: 'float64', shape: [] }],
      }),
      'UNSUPPORTED',
      /op Det \(opset \d+, node 'n'\) has no implementation here/,
    ],
    [
      'weights',
      tinyModel({ ...matmul, weights: external }),
      'MISSING_FILE',
      /its weights are in .*weights.bin, which is missing/,
    ],
    [
      'dangling',
      tinyModel(oneNode({ inputs: ['nope'] })),
      'INVALID_MODEL',
      /Node input 'nope' is not a graph input/,
    ],
    [
      'junk',
      new TextEncoder().encode('not a model'),
      'INVALID_MODEL',
      /not an ONNX model, or cut short/,
    ],
    ['empty', new Uint8Array(), 'INVALID_MODEL', /not an ONNX model, or cut short/],
    [
      'truncated',
      tinyModel(matmul).subarray(0, 60),
      'INVALID_MODEL',
      /not an ONNX model, or cut short/,
    ],
  ])('%s', async (name, bytes, code, message) => {
    const path = await save(`${name}.onnx`, bytes);
    const failure: unknown = await onnxRuntime.open(path, OPTIONS).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code, kind: 'input', message: expect.stringMatching(message) });
    const { message: line } = failure as Error;
    expect(line).toContain(`cannot load ${path}: `);
    expect(line).not.toMatch(/\n|onnxruntime_src|\.cc:/);
  });

  test('weights cut short', async () => {
    await save('short.bin', new Uint8Array(4));
    const short = [{ ...external[0]!, data: { file: 'short.bin' } }];
    const path = await save('short.onnx', tinyModel({ ...matmul, weights: short }));
    await expect(onnxRuntime.open(path, OPTIONS)).rejects.toMatchObject({
      code: 'INVALID_MODEL',
      message: expect.stringContaining("only 4 bytes, too few for tensor 'w'"),
    });
  });

  test('no file, a folder', async () => {
    const path = join(folder, 'nowhere.onnx');
    await expect(onnxRuntime.open(path, OPTIONS)).rejects.toMatchObject({
      code: 'MISSING_FILE',
      message: `cannot load ${path}: no such file`,
    });
    await expect(onnxRuntime.open(folder, OPTIONS)).rejects.toMatchObject({
      code: 'INVALID_MODEL',
    });
  });
});

test('a run that fails inside onnxruntime says so in one line', async () => {
  const model = tinyModel({
    inputs: [x, { name: 'shape', type: 'int64', shape: [1] }],
    outputs: [{ name: 'y', shape: ['n'] }],
    nodes: [{ op: 'Reshape', inputs: ['x', 'shape'], outputs: ['y'], name: 'reshape' }],
  });
  const session = await onnxRuntime.open(await save('run.onnx', model), OPTIONS);
  const shape = { dtype: 'int64' as const, shape: [1], data: new BigInt64Array([7n]) };
  const failure: unknown = await session
    .run({ ...feeds([1, 2], new Float32Array(2)), shape })
    .catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'RUN_FAILED', kind: 'failure' });
  expect((failure as Error).message).toMatch(/^cannot run .*run.onnx: [^\n]*reshape/);
  await session.close();
});
