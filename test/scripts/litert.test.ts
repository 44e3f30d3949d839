import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { openTflite } from '../../agent/model/tflite/open.ts';
import { uniqueTensorNames } from '../../agent/model/tflite/tensor-names.ts';
import { makeOperator } from '../../agent/model/tflite/types.ts';
import type { TensorType, TfliteModel } from '../../agent/model/tflite/types.ts';
import type { Feeds, TensorData } from '../../agent/runtime/types.ts';
import { LitertError } from '../../scripts/litert/error.js';
import { portsOf } from '../../scripts/litert/ports.js';
import { openLitert } from '../../scripts/litert/session.js';
import { corpusPath, describeWithCorpus } from '../support/corpus.ts';
import { openNewest, runNewest } from '../support/litert.ts';
import { add, constant, tfliteBytes, tinyTflite, value } from '../support/tflite-models.ts';

const subtract = makeOperator({
  op: 'SUB',
  inputs: [0, 1],
  outputs: [2],
  options: { kind: 'SubOptions', fusedActivationFunction: 'NONE', potScaleInt16: true },
});

/** a - b */
const difference = (fields: Partial<TfliteModel> = {}) =>
  tinyTflite(
    {
      tensors: [value('a'), value('b'), value('y')],
      inputs: [0, 1],
      outputs: [2],
      operators: [subtract],
    },
    fields,
  );

const four = (...data: readonly number[]) =>
  ({ dtype: 'float32', shape: [1, 4], data: Float32Array.from(data) }) as const;
const feeds: Feeds = { a: four(5, 6, 7, 8), b: four(1, 2, 3, 4) };

/** What is said of a file that should be this model. */
async function refusal(model: TfliteModel, bytes = tfliteBytes(model)): Promise<string> {
  try {
    const session = await openLitert(bytes, portsOf(model, uniqueTensorNames));
    await session.run(feeds);
    return 'ran';
  } catch (error) {
    if (!(error instanceof LitertError)) throw error;
    return error.message;
  }
}

test('inputs go by name, whatever the order and the names of a signature', async () => {
  const signature = {
    key: 'serve',
    subgraph: 0,
    inputs: [
      { name: 'subtrahend', tensor: 1 },
      { name: 'minuend', tensor: 0 },
    ],
    outputs: [{ name: 'result', tensor: 2 }],
  };
  const models = [difference(), difference({ signatures: [signature] })];
  const outputs = await Promise.all(models.map((model) => runNewest(model, [feeds, feeds])));
  for (const [first, second] of outputs) {
    expect(first?.['y']).toEqual(four(4, 4, 4, 4));
    expect(second).toEqual(first);
  }
});

test.each<[TensorType, TensorData]>([
  ['INT8', Int8Array.of(-128, 127, 0, -1)],
  ['UINT8', Uint8Array.of(0, 255, 128, 1)],
  ['INT16', Int16Array.of(-32768, 32767, 0, -1)],
  ['INT32', Int32Array.of(-(2 ** 31), 2 ** 31 - 1, 0, -1)],
  ['INT64', BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n, 0n, -1n)],
  ['BOOL', Uint8Array.of(0, 1, 1, 0)],
  ['FLOAT32', Float32Array.of(-1.5, 0, 1e30, 1e-30)],
])('%s goes in and out as it is', async (type, data) => {
  const model = tinyTflite({
    tensors: [value('x', [1, 4], type), constant('shape', Int32Array.of(4)), value('y', [4], type)],
    inputs: [0],
    outputs: [2],
    operators: [
      makeOperator({
        op: 'RESHAPE',
        inputs: [0, 1],
        outputs: [2],
        options: { kind: 'ReshapeOptions', newShape: [4] },
      }),
    ],
  });
  const session = await openNewest(tfliteBytes(model));
  const { dtype } = session.describe().inputs[0]!;
  const { y } = await session.run({ x: { dtype, shape: [1, 4], data } });
  expect(y).toEqual({ dtype, shape: [4], data });
  await session.close();
});

describe('refused in one line', () => {
  test.each([
    ['a broken file', difference(), Buffer.alloc(64), 'Failed to load model'],
    ['an operator of its own', withCustom(), undefined, "operator 'Mine' is none of TFLite's own"],
    ['a shape that is computed', withShape(), undefined, 'shapes are computed as it runs'],
  ])('%s', async (_, model, bytes, expected) => {
    const said = await refusal(model, bytes);
    expect(said).toContain(expected);
    expect(said).not.toContain('\n');
  });

  test('other shapes and types than declared, and none', async () => {
    const session = await openNewest(tfliteBytes(difference()));
    const wide = { ...feeds, b: { ...four(1, 2, 3, 4), shape: [2, 2] } };
    await expect(session.run(wide)).rejects.toThrow(
      "input 'b' takes float32[1,4], got float32[2,2]",
    );
    await expect(session.run({ a: four(1, 2, 3, 4) })).rejects.toThrow('got nothing');
    // The session goes on.
    expect((await session.run(feeds))['y']).toEqual(four(4, 4, 4, 4));
    await session.close();
  });

  function withCustom() {
    const custom = makeOperator({ op: 'CUSTOM', customCode: 'Mine', inputs: [0, 1], outputs: [2] });
    return tinyTflite({ ...difference().subgraphs[0]!, operators: [custom] });
  }

  function withShape() {
    const { tensors } = difference().subgraphs[0]!;
    const reshape = makeOperator({ op: 'RESHAPE', inputs: [2, 3], outputs: [4] });
    return tinyTflite({
      tensors: [...tensors, value('sizes', [1], 'INT32'), value('z', [4])],
      inputs: [0, 1, 3],
      outputs: [4],
      operators: [add(0, 1, 2), reshape],
    });
  }
});

describeWithCorpus('models of others', () => {
  test('states are what this runtime has not yet', async () => {
    const model = openTflite(readFileSync(corpusPath('models/mnist_lstm_fp32.tflite')));
    expect(await refusal(model)).toContain('Variable tensors not yet supported');
  });
});
