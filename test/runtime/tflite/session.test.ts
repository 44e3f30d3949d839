import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { tfliteRuntime } from '../../../agent/runtime/tflite/tflite.ts';
import type { OpenOptions, TensorType } from '../../../agent/runtime/types.ts';
import { makeOperator, type TfliteGraph } from '../../../agent/model/tflite/types.ts';
import {
  constant,
  tfliteBytes,
  tinyTflite as richTflite,
  value as computed,
} from '../../support/tflite-models.ts';
import { type TinyTflite, tinyTflite } from '../../support/tiny-tflite.ts';

const OPTIONS: OpenOptions = { threads: 1, optimization: 'all', arena: true };
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgefit-tflite-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function save(name: string, model: TinyTflite | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, model instanceof Uint8Array ? model : tinyTflite(model));
  return path;
}

async function refusal(name: string, model: TinyTflite | Uint8Array, options = {}) {
  const path = await save(name, model);
  const failure: unknown = await tfliteRuntime
    .open(path, { ...OPTIONS, ...options })
    .then((session) => session.close())
    .catch((error: unknown) => error);
  return { path, failure };
}

const open = { shape: [1, 2], signature: [-1, 2] };
/** y = x + [10 20] */
const add: TinyTflite = {
  tensors: [
    { name: 'x', ...open },
    { name: 'bias', shape: [2], data: new Float32Array([10, 20]) },
    { name: 'y', ...open },
  ],
  inputs: [0],
  outputs: [2],
  ops: [{ op: 'add', inputs: [0, 1], outputs: [2] }],
};
const feeds = (shape: readonly number[], ...values: number[]) => ({
  x: { dtype: 'float32' as const, shape, data: Float32Array.from(values) },
});

test('says its version', async () => {
  expect(await tfliteRuntime.version()).toMatch(/^2\.\d+\.\d+/);
});

describe.each(['all', 'disabled'] as const)('with optimization %s', (optimization) => {
  test('describes and runs a model, once or prepared', async () => {
    const session = await tfliteRuntime.open(await save('add.tflite', add), {
      ...OPTIONS,
      optimization,
    });
    expect(session.describe()).toEqual({
      inputs: [{ name: 'x', dtype: 'float32', shape: [null, 2] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: [null, 2] }],
    });
    const input = feeds([1, 2], 1, 2);
    const output = { y: { dtype: 'float32', shape: [1, 2], data: new Float32Array([11, 22]) } };
    expect(await session.run(input)).toEqual(output);
    const run = session.prepare!(input);
    await run();
    await run();
    expect(await session.run(input)).toEqual(output);
    await session.close();
    await session.close();
  });

  test('takes another size of an open dimension, and the first one again', async () => {
    const session = await tfliteRuntime.open(await save('add.tflite', add), {
      ...OPTIONS,
      optimization,
    });
    const three = feeds([3, 2], 1, 2, 3, 4, 5, 6);
    const run = session.prepare!(feeds([1, 2], 1, 1));
    expect((await session.run(three))['y']).toMatchObject({
      shape: [3, 2],
      data: new Float32Array([11, 22, 13, 24, 15, 26]),
    });
    // What was prepared is copied in again: other feeds have been run meanwhile.
    await run();
    expect((await session.run(feeds([1, 2], 5, 5)))['y']).toMatchObject({
      shape: [1, 2],
      data: new Float32Array([15, 25]),
    });
    await session.close();
  });
});

test('passes every element type through, float16 as raw bits', async () => {
  const values = {
    float32: new Float32Array([-1.5]),
    float64: new Float64Array([0.1]),
    float16: new Uint16Array([0x3e00]),
    uint8: new Uint8Array([200]),
    int8: new Int8Array([-100]),
    int16: new Int16Array([-30000]),
    int32: new Int32Array([-7]),
    int64: new BigInt64Array([-(2n ** 60n)]),
    bool: new Uint8Array([1]),
  } as const;
  const types = Object.keys(values) as (keyof typeof values)[];
  // What goes in is what comes out: the same tensors.
  const path = await save('types.tflite', {
    tensors: types.map((type) => ({ name: type, type, shape: [1] })),
    inputs: types.map((_, index) => index),
    outputs: types.map((_, index) => index),
  });
  const session = await tfliteRuntime.open(path, OPTIONS);
  const tensors = types.map((dtype) => ({ dtype, shape: [1], data: values[dtype] }));
  const input = Object.fromEntries(tensors.map((tensor) => [tensor.dtype, tensor]));
  expect(await session.run(input)).toEqual(input);
  await session.close();
});

test('describes the scale of quantized inputs and outputs', async () => {
  const quantization = { scale: 0.5, zeroPoint: -3 };
  const path = await save('scaled.tflite', {
    tensors: [{ name: 'x', type: 'int8', shape: [1, 2], quantization }],
    inputs: [0],
    outputs: [0],
  });
  const session = await tfliteRuntime.open(path, OPTIONS);
  const described = { name: 'x', dtype: 'int8', shape: [1, 2], quantization };
  expect(session.describe()).toEqual({ inputs: [described], outputs: [described] });
  await session.close();
});

test('an output whose shape is computed is described as open, and has its real shape', async () => {
  // RANGE makes as many values as its inputs say; the file claims there is one.
  const scalar = { type: 'int32' as const, shape: [] };
  const path = await save('range.tflite', {
    tensors: [
      { name: 'from', ...scalar },
      { name: 'to', ...scalar },
      { name: 'step', ...scalar },
      { name: 'y', type: 'int32', shape: [1] },
    ],
    inputs: [0, 1, 2],
    outputs: [3],
    ops: [{ op: 'range', inputs: [0, 1, 2], outputs: [3] }],
  });
  const session = await tfliteRuntime.open(path, OPTIONS);
  const { outputs, notes } = session.describe();
  expect(outputs).toEqual([{ name: 'y', dtype: 'int32', shape: [null] }]);
  expect(notes).toEqual([expect.stringMatching(/^XNNPACK needs shapes that are known before/)]);
  const int = (value: number) => ({
    dtype: 'int32' as const,
    shape: [],
    data: Int32Array.of(value),
  });
  expect(await session.run({ from: int(2), to: int(6), step: int(1) })).toEqual({
    y: { dtype: 'int32', shape: [4], data: new Int32Array([2, 3, 4, 5]) },
  });
  await session.close();
});

test('names that are empty or used twice become different ones', async () => {
  const one = { shape: [1] };
  const path = await save('names.tflite', {
    tensors: ['', 'a', 'a', 'a_2', ''].map((name) => ({ name, ...one })),
    inputs: [1, 2, 0],
    outputs: [2, 3, 4, 1],
  });
  const session = await tfliteRuntime.open(path, OPTIONS);
  const names = (side: 'inputs' | 'outputs') => session.describe()[side].map(({ name }) => name);
  expect(names('inputs')).toEqual(['a', 'a_2', 'tensor']);
  expect(names('outputs')).toEqual(['a_2', 'a_2_2', 'tensor_2', 'a']);
  await session.close();
});

describe('feeds that do not fit are refused by name', () => {
  const row = new Float32Array(2);
  test.each([
    ['missing', {}, "input 'x': is missing, expected float32[?,2]"],
    [
      'unknown',
      { ...feeds([1, 2], 0, 0), z: { dtype: 'float32' as const, shape: [1], data: row } },
      "input 'z': is not an input of the model, which has: x",
    ],
    ['wrong size', feeds([2, 1], 0, 0), "input 'x': expected float32[?,2], got float32[2,1]"],
    ['wrong rank', feeds([2], 0, 0), "input 'x': expected float32[?,2], got float32[2]"],
    [
      'wrong type',
      { x: { dtype: 'int32' as TensorType, shape: [1, 2], data: new Int32Array(2) } },
      "input 'x': expected float32[?,2], got int32[1,2]",
    ],
    ['too few values', feeds([3, 2], 0, 0), "input 'x': has 2 values, but float32[3,2] holds 6"],
  ])('%s', async (_, bad, message) => {
    const session = await tfliteRuntime.open(await save('feeds.tflite', add), OPTIONS);
    await expect(session.run(bad)).rejects.toMatchObject({ code: 'BAD_INPUT', message });
    expect(() => session.prepare!(bad)).toThrow(message);
    await session.close();
  });

  test('a size that the model cannot take, and then one that it can', async () => {
    // Six values make [3, 2]; no other number of values does.
    const path = await save('reshape.tflite', {
      tensors: [
        { name: 'x', shape: [6], signature: [-1] },
        { name: 'to', type: 'int32', shape: [2], data: new Int32Array([3, 2]) },
        { name: 'y', shape: [3, 2] },
      ],
      inputs: [0],
      outputs: [2],
      ops: [{ op: 'reshape', inputs: [0, 1], outputs: [2] }],
    });
    const session = await tfliteRuntime.open(path, OPTIONS);
    await expect(session.run(feeds([5], 1, 2, 3, 4, 5))).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: expect.stringMatching(
        /^cannot run .*reshape.tflite with inputs of the shapes \[5\]: .*RESHAPE/,
      ),
    });
    const values = [1, 2, 3, 4, 5, 6];
    expect((await session.run(feeds([6], ...values)))['y']).toMatchObject({
      shape: [3, 2],
      data: Float32Array.from(values),
    });
    await session.close();
  });
});

describe('signatures', () => {
  const halves: TinyTflite = {
    ...add,
    more: [{ ...add, ops: [{ op: 'add', inputs: [0, 1], outputs: [2] }] }],
    signatures: [
      { key: 'first', inputs: { left: 0 }, outputs: { sum: 2 } },
      { key: 'second', subgraph: 1, inputs: { left: 0 }, outputs: { sum: 2 } },
      { key: 'odd', inputs: { left: 1 }, outputs: { sum: 2 } },
      { key: 'poor', inputs: {}, outputs: { sum: 2 } },
    ],
  };

  test('name the inputs and outputs of the first subgraph', async () => {
    const path = await save('halves.tflite', halves);
    const session = await tfliteRuntime.open(path, { ...OPTIONS, signature: 'first' });
    expect(await session.run({ left: feeds([1, 2], 1, 1).x })).toEqual({
      sum: { dtype: 'float32', shape: [1, 2], data: new Float32Array([11, 21]) },
    });
    await session.close();
  });

  test.each([
    ['second', /signature 'second' is subgraph 1 of the file, and TFLite's C API runs the first/],
    ['third', /it has no signature 'third', only: first, second, odd, poor/],
    ['odd', /signature 'odd' names 'left', which is no input or output/],
    ['poor', /signature 'poor' leaves out input 0 of the graph/],
  ])('%s is refused', async (signature, message) => {
    const { failure } = await refusal('halves.tflite', halves, { signature });
    expect(failure).toMatchObject({ code: 'UNSUPPORTED', message: expect.stringMatching(message) });
  });
});

describe('a model that cannot be loaded is refused in one line', () => {
  const oneOp = (op: NonNullable<TinyTflite['ops']>[number]): TinyTflite => ({ ...add, ops: [op] });
  const nodes = { inputs: [0, 1], outputs: [2] };
  const lone = (type: 'string' | 'complex64' | 'int4'): TinyTflite => ({
    tensors: [{ name: 'words', type, shape: [1] }],
    inputs: [0],
    outputs: [0],
  });
  const whole = tinyTflite(add);

  test.each<[string, TinyTflite | Uint8Array, string, RegExp]>([
    [
      'text',
      lone('string'),
      'UNSUPPORTED',
      /'words' is text \(a string tensor\), and only numbers/,
    ],
    ['complex', lone('complex64'), 'UNSUPPORTED', /'words' has the element type complex64/],
    [
      'int4',
      lone('int4'),
      'UNSUPPORTED',
      /a tensor has an element type that TFLite 2\.\S+ does not/,
    ],
    [
      'version',
      oneOp({ op: 'add', version: 5, ...nodes }),
      'UNSUPPORTED',
      /op ADD version 5 needs TFLite 2.13 or later, and 2\.\S+ is loaded/,
    ],
    [
      'unheard',
      oneOp({ op: 'add', version: 99, ...nodes }),
      'UNSUPPORTED',
      /op ADD version 99 needs a newer TFLite than 2\.\d+\.\d+/,
    ],
    [
      'new-op',
      oneOp({ op: 'sign', inputs: [0], outputs: [2] }),
      'UNSUPPORTED',
      /op SIGN version 1 needs TFLite 2.11 or later/,
    ],
    [
      'custom',
      oneOp({ op: 'custom', customCode: 'Frob', ...nodes }),
      'UNSUPPORTED',
      /custom op 'Frob' is unknown to TFLite/,
    ],
    [
      'edgetpu',
      oneOp({ op: 'custom', customCode: 'edgetpu-custom-op', ...nodes }),
      'UNSUPPORTED',
      /compiled for the Edge TPU: needs an Edge TPU and libedgetpu/,
    ],
    ['stray', { ...add, inputs: [7] }, 'INVALID_MODEL', /it has no tensor 7/],
    ['junk', new TextEncoder().encode('not a model'), 'INVALID_MODEL', /not a TFLite model/],
    ['empty', new Uint8Array(), 'INVALID_MODEL', /not a TFLite model, or cut short/],
    ['half', whole.subarray(0, whole.length / 2), 'INVALID_MODEL', /cut short/],
  ])('%s', async (name, model, code, message) => {
    const { path, failure } = await refusal(`${name}.tflite`, model);
    expect(failure).toMatchObject({ code, kind: 'input', message: expect.stringMatching(message) });
    const { message: line } = failure as Error;
    expect(line).toContain(`cannot load ${path}: `);
    expect(line).not.toMatch(/\n|\.cc:/);
  });

  test('cut short anywhere', async () => {
    for (let length = 0; length < whole.length - 32; length += 7) {
      // oxlint-disable-next-line no-await-in-loop -- one file after the other
      const { failure } = await refusal('cut.tflite', whole.subarray(0, length));
      expect({ length, failure }).toMatchObject({ length, failure: { code: 'INVALID_MODEL' } });
    }
  });

  test('no file, a folder', async () => {
    const path = join(folder, 'nowhere.tflite');
    await expect(tfliteRuntime.open(path, OPTIONS)).rejects.toMatchObject({
      code: 'MISSING_FILE',
      message: `cannot load ${path}: no such file`,
    });
    await expect(tfliteRuntime.open(folder, OPTIONS)).rejects.toMatchObject({
      code: 'INVALID_MODEL',
    });
  });
});

describe('operators that compute for nobody', () => {
  /** y = x + [10 20]; beside it a chain, spare = x + [10 20], last = spare + [10 20], is for nobody. */
  const unread: TinyTflite = {
    ...add,
    tensors: [...add.tensors, { name: 'spare', ...open }, { name: 'last', ...open }],
    ops: [
      { op: 'add', inputs: [0, 1], outputs: [3] },
      { op: 'add', inputs: [3, 1], outputs: [4] },
      { op: 'add', inputs: [0, 1], outputs: [2] },
    ],
  };

  // As given, XNNPACK of TFLite 2.9 takes the process down with it.
  test.each([
    ['no signature', unread],
    [
      'named by a signature alone',
      { ...unread, signatures: [{ key: 'serve', inputs: { a: 0 }, outputs: { b: 2, c: 4 } }] },
    ],
  ])('do not keep XNNPACK from the rest: %s', async (name, model) => {
    const session = await tfliteRuntime.open(await save(`${name}.tflite`, model), OPTIONS);
    expect(session.describe().notes).toBeUndefined();
    // New shapes make another interpreter of the same model.
    for (const [shape, values, sums] of [
      [
        [1, 2],
        [1, 2],
        [11, 22],
      ],
      [
        [2, 2],
        [1, 2, 3, 4],
        [11, 22, 13, 24],
      ],
    ] as const) {
      // oxlint-disable-next-line no-await-in-loop -- one run after the other
      const { y } = await session.run(feeds(shape, ...values));
      expect(y).toEqual({ dtype: 'float32', shape, data: Float32Array.from(sums) });
    }
    await session.close();
  });

  test('in a file that is too new to be rewritten, keep it from XNNPACK, and a note says so', async () => {
    const path = await save('newer.tflite', { ...unread, newer: true });
    const session = await tfliteRuntime.open(path, OPTIONS);
    expect(session.describe().notes).toEqual([
      expect.stringMatching(/^operators of this model compute what nobody reads.*newer/),
    ]);
    const { y } = await session.run(feeds([1, 2], 1, 2));
    expect(y?.data).toEqual(new Float32Array([11, 22]));
    await session.close();
  });
});

describe('constants behind the flatbuffer', () => {
  // TFLite 2.9 does not look there; recent converters and AI Edge Quantizer write such files.
  const sum = (fields: Partial<TfliteGraph> = {}) =>
    richTflite(
      {
        tensors: [
          computed('x', [1, 2]),
          constant('bias', Float32Array.of(10, 20)),
          computed('y', [1, 2]),
        ],
        inputs: [0],
        outputs: [2],
        operators: [makeOperator({ op: 'ADD', inputs: [0, 1], outputs: [2] })],
        ...fields,
      },
      { constantsOutside: true },
    );

  test.each(['all', 'disabled'] as const)('are found, optimization %s', async (optimization) => {
    const path = await save(`outside-${optimization}.tflite`, tfliteBytes(sum()));
    const session = await tfliteRuntime.open(path, { ...OPTIONS, optimization });
    expect(session.describe().notes).toEqual([
      expect.stringMatching(/^its constants lie behind the flatbuffer.*copy in memory/),
    ]);
    const { y } = await session.run(feeds([1, 2], 1, 2));
    expect(y?.data).toEqual(new Float32Array([11, 22]));
    await session.close();
  });

  test('also where operators compute for nobody', async () => {
    const graph = sum().subgraphs[0];
    const idle = sum({
      tensors: [...(graph?.tensors ?? []), computed('spare', [1, 2])],
      operators: [
        makeOperator({ op: 'ADD', inputs: [0, 1], outputs: [3] }),
        makeOperator({ op: 'ADD', inputs: [0, 1], outputs: [2] }),
      ],
    });
    const session = await tfliteRuntime.open(
      await save('outside-idle.tflite', tfliteBytes(idle)),
      OPTIONS,
    );
    const { y } = await session.run(feeds([1, 2], 1, 2));
    expect(y?.data).toEqual(new Float32Array([11, 22]));
    await session.close();
  });

  test('that are cut off are said to be', async () => {
    const bytes = tfliteBytes(sum());
    const { failure } = await refusal('outside-cut.tflite', bytes.subarray(0, bytes.length - 12));
    expect(failure).toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(/constants lie behind the flatbuffer.*2\.15.*cut off/),
    });
  });
});
