import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { DataType, floatTensor } from '../../../agent/model/onnx/tensor.ts';
import { obtainEngine, type EngineRequest } from '../../../agent/runtime/tensorrt/engine.ts';
import { openEngine } from '../../../agent/runtime/tensorrt/session.ts';
import { askTrtexec } from '../../../agent/runtime/tensorrt/tool.ts';
import type { SessionDescription } from '../../../agent/runtime/types.ts';
import { tinyBytes } from '../../support/onnx-models.ts';
import { makeStandIn, type StandIn } from '../../support/trtexec.ts';

/** y = 2 x, and the same integers as they came in. */
const MODEL = tinyBytes({
  inputs: { 'x:0': [DataType.FLOAT, ['n', 2]], n: [DataType.INT64, [2]] },
  outputs: { y: [DataType.FLOAT, ['n', 2]], m: [DataType.INT64, [2]] },
  initializers: [floatTensor('two', 2)],
  nodes: [makeNode('Mul', ['x:0', 'two'], ['y']), makeNode('Neg', ['n'], ['m'])],
});
const DESCRIPTION: SessionDescription = {
  inputs: [
    { name: 'x:0', dtype: 'float32', shape: ['n', 2] },
    { name: 'n', dtype: 'int64', shape: [2] },
  ],
  outputs: [
    { name: 'y', dtype: 'float32', shape: ['n', 2] },
    { name: 'm', dtype: 'int64', shape: [2] },
  ],
};

let folder = '';
let standIn: StandIn;
let request: EngineRequest;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgefit-engines-'));
  standIn = await makeStandIn();
  const onnx = join(folder, 'm.onnx');
  await writeFile(onnx, MODEL);
  request = {
    onnx,
    digest: 'd1',
    options: { precision: 'fp32', dla: null, shapes: { 'x:0': [3, 2] }, workspaceBytes: 2 ** 28 },
    machine: 'jetson-agx-orin',
    folder: join(folder, 'engines'),
  };
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
  await standIn.remove();
});

describe('obtainEngine', () => {
  test('builds once: a later run takes the kept one, with what building it took', async () => {
    const tool = await askTrtexec(standIn.path);
    const first = await obtainEngine(tool, request);
    const second = await obtainEngine(tool, request);
    expect([first.cached, second.cached]).toEqual([false, true]);
    expect(second).toMatchObject({ path: first.path, buildSeconds: 12.5, device: 'Orin' });
    expect(second.bytes).toBeGreaterThan(MODEL.length);
    expect((await standIn.calls()).filter((line) => line.includes('--onnx='))).toHaveLength(1);
  });

  test('anything that changes the engine builds another one', async () => {
    const tool = await askTrtexec(standIn.path);
    const { options } = request;
    const others: Partial<EngineRequest>[] = [
      {},
      { digest: 'd2' },
      { machine: 'jetson-nano' },
      { options: { ...options, precision: 'fp16' } },
      { options: { ...options, dla: 0 } },
      { options: { ...options, shapes: { 'x:0': [4, 2] } } },
    ];
    const paths = new Set<string>();
    for (const other of others) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { path, cached } = await obtainEngine(tool, { ...request, ...other });
      expect(cached).toBe(false);
      paths.add(path);
    }
    await standIn.become({ version: '8.6.1' });
    paths.add((await obtainEngine(await askTrtexec(standIn.path), request)).path);
    expect(paths.size).toBe(7);
  });

  test('one timing cache for all engines of a machine and a version', async () => {
    const tool = await askTrtexec(standIn.path);
    await obtainEngine(tool, request);
    await obtainEngine(tool, { ...request, digest: 'd2' });
    const names = await readdir(request.folder);
    const [cache, ...others] = names.filter((name) => name.startsWith('timing-'));
    expect(others).toEqual([]);
    expect(await readFile(join(request.folder, cache ?? ''), 'utf8')).toBe('xx');
  });

  test('a failure leaves nothing behind', async () => {
    await standIn.become({ fail: 'build' });
    const tool = await askTrtexec(standIn.path);
    await expect(obtainEngine(tool, request)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('conv1 + relu1'),
    });
    expect(await readdir(request.folder)).toEqual([]);
  });

  test('engines that vanish while they are counted disturb nobody', async () => {
    await mkdir(request.folder, { recursive: true });
    const gone = Array.from({ length: 24 }, (_, at) => join(request.folder, `${at}.engine`));
    await Promise.all(gone.map((path) => symlink(`${path}.removed`, path)));
    const { path } = await obtainEngine(await askTrtexec(standIn.path), request);
    const left = (await readdir(request.folder)).filter((name) => name.endsWith('.engine'));
    expect(left).toHaveLength(24);
    expect(left).toContain(basename(path));
  });

  test('a folder that cannot be made is said', async () => {
    const tool = await askTrtexec(standIn.path);
    const inFile = { ...request, folder: join(request.onnx, 'engines') };
    await expect(obtainEngine(tool, inFile)).rejects.toMatchObject({ code: 'ENOTDIR' });
  });
});

describe.each(['8.0.1', '8.6.1', '10.3.0'])('a session of TensorRT %s', (version) => {
  test('computes what the model computes, integers of 64 bits included', async () => {
    await standIn.become({ version });
    const tool = await askTrtexec(standIn.path);
    const { path: engine } = await obtainEngine(tool, request);
    const { shapes } = request.options;
    const options = { trtexec: tool.path, version: tool.version, engine, shapes };
    const session = await openEngine({ ...options, description: DESCRIPTION });
    try {
      const x = Float32Array.of(1, -2, 0.5, 3, 4, 1e-3);
      const outputs = await session.run({
        'x:0': { dtype: 'float32', shape: [3, 2], data: x },
        n: { dtype: 'int64', shape: [2], data: BigInt64Array.of(7n, -9n) },
      });
      expect(outputs['y']).toEqual({ dtype: 'float32', shape: [3, 2], data: x.map((v) => 2 * v) });
      expect(outputs['m']?.data).toEqual(BigInt64Array.of(-7n, 9n));
    } finally {
      await session.close();
    }
  });
});

describe('a session', () => {
  const feeds = (rows: number) =>
    ({
      'x:0': { dtype: 'float32', shape: [rows, 2], data: new Float32Array(2 * rows) },
      n: { dtype: 'int64', shape: [2], data: new BigInt64Array(2) },
    }) as const;

  async function open() {
    const tool = await askTrtexec(standIn.path);
    const { path: engine } = await obtainEngine(tool, request);
    const { shapes } = request.options;
    const options = { trtexec: tool.path, version: tool.version, engine, shapes };
    return openEngine({ ...options, description: DESCRIPTION });
  }

  test('refuses a shape that the engine was not built for', async () => {
    const session = await open();
    await expect(session.run(feeds(2))).rejects.toMatchObject({
      code: 'BAD_INPUT',
      message: expect.stringContaining('built for 3x2'),
    });
    await session.close();
  });

  test('says that an engine is of another version', async () => {
    const session = await open();
    await standIn.become({ version: '8.6.1' });
    await expect(session.run(feeds(3))).rejects.toMatchObject({ code: 'INVALID_MODEL' });
    await session.close();
  });

  test('says that no outputs were written', async () => {
    const session = await open();
    await standIn.become({ fail: 'export' });
    await expect(session.run(feeds(3))).rejects.toMatchObject({ code: 'RUN_FAILED' });
    await session.close();
  });
});
