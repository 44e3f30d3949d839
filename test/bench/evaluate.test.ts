import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type EvaluationSample, evaluate, recordReference } from '../../agent/bench/evaluate.ts';
import { openReference, writeReference } from '../../agent/bench/reference.ts';
import { onnxRuntime } from '../../agent/runtime/onnxruntime.ts';
import type { Outputs, Session } from '../../agent/runtime/types.ts';
import { tinyModel } from '../support/tiny-onnx.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgefit-evaluate-'));
  file = join(folder, 'reference.bin');
});
afterEach(() => rm(folder, { recursive: true }));

async function* each<T>(values: readonly T[]): AsyncGenerator<T> {
  yield* values;
}

async function* thenFail(values: readonly Outputs[]): AsyncGenerator<Outputs> {
  yield* values;
  throw new Error('the model broke');
}

async function readAll(path: string): Promise<Outputs[]> {
  const records: Outputs[] = [];
  for await (const record of openReference(path)) records.push(record);
  return records;
}

describe('reference outputs', () => {
  const records: Outputs[] = [
    {
      half: { dtype: 'float16', shape: [1], data: new Uint16Array([0x3c00]) },
      odd: { dtype: 'uint8', shape: [3], data: new Uint8Array([1, 2, 3]) },
      float: { dtype: 'float32', shape: [1, 2], data: new Float32Array([1.5, Number.NaN]) },
      empty: { dtype: 'float32', shape: [0], data: new Float32Array() },
    },
    {
      big: { dtype: 'int64', shape: [1], data: new BigInt64Array([-1n]) },
      text: { dtype: 'string', shape: [2], data: ['ä', ''] },
    },
  ];

  test('come back as they were, also a view on a larger buffer', async () => {
    const view = new Float32Array([9, 1, 2, 9]).subarray(1, 3);
    const third: Outputs = { view: { dtype: 'float32', shape: [2], data: view } };
    await writeReference(file, each([...records, third]));
    expect(await readAll(file)).toEqual([...records, third]);
  });

  test('of no sample are no records', async () => {
    await writeReference(file, each([]));
    expect(await readAll(file)).toEqual([]);
  });

  test('are refused when cut short anywhere, or not ours', async () => {
    await writeReference(file, each(records));
    const bytes = await readFile(file);
    for (const length of [0, 3, 10, 200, bytes.length - 1]) {
      // oxlint-disable-next-line no-await-in-loop -- the same file again
      await writeFile(file, bytes.subarray(0, length));
      // oxlint-disable-next-line no-await-in-loop -- the same file again
      await expect(readAll(file)).rejects.toMatchObject({ code: 'BAD_REFERENCE' });
    }
    await writeFile(file, 'this is some other file altogether');
    await expect(readAll(file)).rejects.toMatchObject({ code: 'BAD_REFERENCE' });
    await writeFile(file, Buffer.from('\u0002\0\0\0{}', 'latin1'));
    await expect(readAll(file)).rejects.toMatchObject({ code: 'BAD_REFERENCE' });
  });

  test('leave no file behind when the model fails on the way', async () => {
    await expect(writeReference(file, thenFail(records))).rejects.toThrow('the model broke');
    expect(existsSync(file)).toBe(false);
  });

  test('say which file cannot be written or read', async () => {
    const nowhere = join(folder, 'no', 'such', 'folder');
    await expect(writeReference(nowhere, each([]))).rejects.toThrow(`cannot write ${nowhere}`);
    await expect(readAll(nowhere)).rejects.toThrow(`cannot read ${nowhere}`);
  });
});

/** y = x * scale */
async function openScaled(scale: number): Promise<Session> {
  const path = join(folder, `scale-${scale}.onnx`);
  const model = tinyModel({
    inputs: [{ name: 'x', shape: [1, 2] }],
    outputs: [{ name: 'y', shape: [1, 2] }],
    weights: [{ name: 's', shape: [1], data: new Float32Array([scale]) }],
    nodes: [{ op: 'Mul', inputs: ['x', 's'], outputs: ['y'] }],
  });
  await writeFile(path, model);
  return onnxRuntime.open(path, { threads: 1, optimization: 'all', arena: true });
}

describe('evaluation', () => {
  const samples: EvaluationSample[] = [
    [1, 2, 1],
    [4, 3, 1],
    [5, 0, 0],
  ].map(([a = 0, b = 0, label = 0]) => ({
    feeds: { x: { dtype: 'float32', shape: [1, 2], data: new Float32Array([a, b]) } },
    label,
  }));
  const task = { kind: 'classification', labelOffset: 0 };

  test('compares with the recorded float model, and measures the task of both', async () => {
    const float = await openScaled(1);
    expect(await recordReference(file, float, each(samples), { task })).toEqual({
      fidelity: null,
      accuracy: { metric: 'top1', value: expect.closeTo(2 / 3, 12), samples: 3 },
      samples: 3,
    });
    const seen: number[] = [];
    const worse = await openScaled(0.9);
    const options = { task, onSample: (done: number) => seen.push(done) };
    // Every error is a tenth of the signal: 20 dB.
    expect(await evaluate(worse, each(samples), file, options)).toEqual({
      fidelity: {
        sqnrDb: expect.closeTo(20, 4),
        cosine: expect.closeTo(1, 9),
        top1Agreement: 1,
        samples: 3,
      },
      accuracy: { metric: 'top1', value: expect.closeTo(2 / 3, 12), samples: 3 },
      samples: 3,
    });
    expect(seen).toEqual([1, 2, 3]);
    await Promise.all([float.close(), worse.close()]);
  });

  test('without a reference or labels there is nothing to say', async () => {
    const session = await openScaled(1);
    const unlabelled = samples.map(({ feeds }) => ({ feeds }));
    expect(await evaluate(session, each(unlabelled), undefined, { task })).toEqual({
      fidelity: null,
      accuracy: null,
      samples: 3,
    });
    await session.close();
  });

  test('refuses a reference of other samples', async () => {
    const session = await openScaled(1);
    await recordReference(file, session, each(samples.slice(0, 2)));
    await expect(evaluate(session, each(samples), file)).rejects.toThrow('the file has only 2');
    await expect(evaluate(session, each(samples.slice(0, 1)), file)).rejects.toThrow('has more');
    await session.close();
  });

  test('stops when told to', async () => {
    const session = await openScaled(1);
    const controller = new AbortController();
    const onSample = () => controller.abort(new Error('enough'));
    const options = { signal: controller.signal, onSample };
    await expect(evaluate(session, each(samples), undefined, options)).rejects.toThrow('enough');
    await session.close();
  });
});
