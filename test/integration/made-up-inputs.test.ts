import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { quantizeModel } from '../../agent/fit/run.ts';
import { tinyModel } from '../support/tiny-onnx.ts';
import type { TinyModel } from '../support/tiny-onnx.ts';

const LIMIT_MS = 120_000;
const folder = mkdtempSync(join(tmpdir(), 'edgefit-test-made-up-'));
const hooks = { signal: new AbortController().signal, progress: () => undefined };
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function toFp16(name: string, model: TinyModel) {
  const modelPath = join(folder, `${name}.onnx`);
  const output = join(folder, `${name}.fp16.onnx`);
  writeFileSync(modelPath, tinyModel(model));
  const request = { modelPath, scheme: 'fp16', output, ranges: [], image: {} } as const;
  const { warnings = [] } = await quantizeModel({ ...request, samples: {} }, hooks);
  return { warnings, isWritten: existsSync(output) };
}

test(
  'without samples: the batch in the middle of a state is found',
  async () => {
    // Eight values make one row for one in the batch only.
    const found = await toFp16('state', {
      inputs: [{ name: 'state', shape: [2, 'batch', 4] }],
      outputs: [{ name: 'y', shape: [1, 4] }],
      nodes: [
        { op: 'Reshape', inputs: ['state', 'row'], outputs: ['r'] },
        { op: 'MatMul', inputs: ['r', 'w'], outputs: ['y'] },
      ],
      weights: [
        { name: 'row', type: 'int64', shape: [2], data: BigInt64Array.of(1n, 8n) },
        { name: 'w', shape: [8, 4], data: new Float32Array(32).fill(0.5) },
      ],
    });
    expect(found.isWritten).toBe(true);
    expect(found.warnings.filter((line) => line.includes('made up'))).toEqual([]);
  },
  LIMIT_MS,
);

test(
  'without samples: a model that takes no made-up input is written, and said not to have run',
  async () => {
    // A shape of zeros and ones never holds six values.
    const found = await toFp16('shaped', {
      opset: 17,
      inputs: [
        { name: 'x', shape: [1, 6] },
        { name: 'target', type: 'int64', shape: [2] },
      ],
      outputs: [{ name: 'y', shape: ['a', 'b'] }],
      nodes: [
        { op: 'Neg', inputs: ['x'], outputs: ['n'] },
        { op: 'Transpose', inputs: ['n'], outputs: ['t'] },
        { op: 'Reshape', inputs: ['t', 'target'], outputs: ['y'], attributes: { allowzero: 1 } },
      ],
    });
    expect(found.isWritten).toBe(true);
    expect(found.warnings).toEqual([
      expect.stringContaining('takes none of the inputs that were made up for it'),
    ]);
  },
  LIMIT_MS,
);

test(
  'a model that has nothing to convert is refused, and nothing is written',
  async () => {
    const scaler = {
      inputs: [{ name: 'x', shape: ['n', 2] }],
      outputs: [{ name: 'y', shape: ['n', 2] }],
      nodes: [{ op: 'Binarizer', domain: 'ai.onnx.ml', inputs: ['x'], outputs: ['y'] }],
      domains: { 'ai.onnx.ml': 1 },
    };
    await expect(toFp16('scaler', scaler)).rejects.toThrow(
      /^nothing of this model can be float16: ai\.onnx\.ml\.Binarizer: ./,
    );
    expect(existsSync(join(folder, 'scaler.fp16.onnx'))).toBe(false);
  },
  LIMIT_MS,
);
