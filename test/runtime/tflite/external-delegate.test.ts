import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { tfliteRuntime } from '../../../agent/runtime/tflite/tflite.ts';
import { vendoredLibrary } from '../../../agent/runtime/tflite/places.ts';
import { describeIf, programPath } from '../../support/available.ts';
import { tinyTflite } from '../../support/tiny-tflite.ts';

const SOURCE = join(import.meta.dirname, '../../fixtures/delegate/logging-delegate.c');
const COMPILE_MS = 30_000;

/** y = RESHAPE(x + [10 20]) */
const MODEL = tinyTflite({
  tensors: [
    { name: 'x', shape: [1, 2], signature: [-1, 2] },
    { name: 'bias', shape: [2], data: new Float32Array([10, 20]) },
    { name: 'sum', shape: [1, 2] },
    { name: 'flat', type: 'int32', shape: [1], data: new Int32Array([-1]) },
    { name: 'y', shape: [2] },
  ],
  inputs: [0],
  outputs: [4],
  ops: [
    { op: 'add', inputs: [0, 1], outputs: [2] },
    { op: 'reshape', inputs: [2, 3], outputs: [4] },
  ],
});

describeIf('cc')('a delegate in a library of its own', () => {
  let folder: string;
  let library: string;
  let model: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'edgefit-delegate-'));
    library = join(folder, 'logging.so');
    model = join(folder, 'add.tflite');
    await writeFile(model, MODEL);
    const flags = ['-shared', '-fPIC', '-Wall', '-Werror', '-O1', '-o', library, SOURCE];
    const result = spawnSync(programPath('cc')!, flags, { encoding: 'utf8', timeout: COMPILE_MS });
    expect(result).toMatchObject({ status: 0, stderr: '' });
  }, COMPILE_MS);
  afterAll(() => rm(folder, { recursive: true }));

  const open = (path: string, options: Readonly<Record<string, string>> = {}) =>
    tfliteRuntime.open(model, {
      threads: 1,
      optimization: 'all',
      arena: true,
      delegate: { path, options },
    });
  const feeds = (...values: number[]) => ({
    x: {
      dtype: 'float32' as const,
      shape: [values.length / 2, 2],
      data: Float32Array.from(values),
    },
  });

  test('gets its options, takes its nodes, and is destroyed at the end', async () => {
    const log = join(folder, 'log.txt');
    const session = await open(library, { log, color: 'red', empty: '' });
    const { y } = await session.run(feeds(1, 2));
    expect(y).toEqual({ dtype: 'float32', shape: [2], data: new Float32Array([1011, 1022]) });
    expect(session.describe().notes).toBeUndefined();
    const before = await readFile(log, 'utf8');
    await session.close();
    expect(before.split('\n')).toEqual([
      `option log=${log}`,
      'option color=red',
      'option empty=',
      'nodes 2',
      'mine 1',
      '',
    ]);
    expect(await readFile(log, 'utf8')).toBe(`${before}destroyed\n`);
  });

  test('is made anew for other shapes', async () => {
    const log = join(folder, 'shapes.txt');
    const session = await open(library, { log });
    const { y } = await session.run(feeds(1, 2, 3, 4));
    expect(y?.data).toEqual(new Float32Array([1011, 1022, 1013, 1024]));
    await session.close();
    const said = await readFile(log, 'utf8');
    expect(said.match(/mine|destroyed/g)).toEqual(['mine', 'destroyed', 'mine', 'destroyed']);
  });

  test('that cannot be made passes on what it says', async () => {
    await expect(open(library, { fail: 'no device found' })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: `delegate ${library} cannot be used: no device found; is its device connected, and are the options right?`,
    });
  });

  test('that refuses the model is an error, not a slower run', async () => {
    await expect(open(library, { refuse: 'yes' })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(
        /^cannot load .*add.tflite: delegate .*logging.so refused the model: tests do not like this graph/,
      ),
    });
  });

  test('that is none, is missing, or is no library', async () => {
    const other = vendoredLibrary();
    await expect(open(other)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: `${other} is no TFLite delegate: it lacks tflite_plugin_create_delegate or tflite_plugin_destroy_delegate`,
    });
    await expect(open('/no/such.so')).rejects.toMatchObject({
      code: 'MISSING_FILE',
      message: 'cannot load delegate /no/such.so: no such file',
    });
    await expect(open('libno-such-delegate.so.1')).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(/^cannot load delegate libno-such-delegate.so.1: /),
    });
    await expect(open(model)).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });
});
