import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { foldConstants } from '../../../agent/fit/make/fold-constants.ts';
import { toTensors } from '../../../agent/fit/calibrate/tensors.ts';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import type { NodeProto } from '../../../agent/model/onnx/generated/messages.ts';
import { DataType, floatTensor, tensorNumbers } from '../../../agent/model/onnx/tensor.ts';
import { onnxRuntime } from '../../../agent/runtime/onnxruntime.ts';
import { RuntimeFailure } from '../../../agent/runtime/errors.ts';
import { tinyGraph, tinyModel } from '../../support/onnx-models.ts';

const { FLOAT, STRING, BFLOAT16, BOOL } = DataType;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgefit-fold-'));
});
afterAll(() => rm(folder, { recursive: true }));

let evaluations = 0;
async function evaluate(chunks: readonly Uint8Array[]) {
  const path = join(folder, `constants-${evaluations++}.onnx`);
  await writeFile(path, chunks);
  const options = { threads: 1, optimization: 'disabled', arena: false } as const;
  const session = await onnxRuntime.open(path, options);
  try {
    return toTensors(await session.run({}));
  } finally {
    await session.close();
  }
}

const cast = (from: string, to: string, type: number) =>
  makeNode('Cast', [from], [to], { name: `make ${to}`, attributes: { to: BigInt(type) } });

/** Constants c = 2, from which sums of two and of three are made, and whatever else is given. */
function model(nodes: readonly NodeProto[], outputs: Readonly<Record<string, number>>) {
  return tinyModel({
    inputs: { x: [FLOAT, [1]] },
    outputs: {
      y: [FLOAT],
      ...Object.fromEntries(Object.entries(outputs).map(([name, type]) => [name, [type]])),
    },
    initializers: [floatTensor('c', [2])],
    domains: { 'a.b': 1 },
    nodes: [
      makeNode('Add', ['c', 'c'], ['four']),
      ...nodes,
      makeNode('Add', ['four', 'c'], ['six']),
      makeNode('Sum', ['c', 'c', 'c'], ['also_six']),
      makeNode('Sum', ['x', 'six', 'also_six', 'four'], ['y']),
    ],
  });
}

const opsLeft = (nodes: readonly NodeProto[]) => nodes.map(({ opType }) => opType);

test('everything constant is computed, in one go', async () => {
  evaluations = 0;
  const { model: folded, warnings } = await foldConstants(model([], {}), evaluate);
  expect(opsLeft(folded.graph.node)).toEqual(['Sum']);
  const values = folded.graph.initializer.map((one) => [one.name, tensorNumbers(one)]);
  expect(values).toEqual([
    ['c', [2]],
    ['four', [4]],
    ['six', [6]],
    ['also_six', [6]],
  ]);
  expect(warnings).toEqual([]);
  expect(evaluations).toBe(1);
});

test.each<[string, readonly NodeProto[], Readonly<Record<string, number>>, RegExp]>([
  ['text', [cast('c', 't', STRING)], { t: STRING }, /^.*Cast 'make t' .*: 't' is of type string/],
  ['bfloat16', [cast('c', 't', BFLOAT16)], { t: BFLOAT16 }, /Cast 'make t' is computed anew/],
  [
    'an op that the runtime lacks',
    [makeNode('Odd', ['c'], ['t'], { domain: 'a.b', name: 'odd' })],
    { t: FLOAT },
    /a\.b\.Odd 'odd' is computed anew in every run: op Odd/,
  ],
])('%s stays, and the rest is computed', async (_, nodes, outputs, message) => {
  const { model: folded, warnings } = await foldConstants(model(nodes, outputs), evaluate);
  expect(opsLeft(folded.graph.node)).toEqual([nodes[0]?.opType, 'Sum']);
  expect(folded.graph.node[0]?.output).toEqual(['t']);
  expect(warnings).toEqual([expect.stringMatching(message)]);
  expect(warnings[0]).not.toMatch(folder);
});

test('what hangs together with it stays with it', async () => {
  const nodes = [cast('four', 't', STRING)];
  const { model: folded } = await foldConstants(model(nodes, { t: STRING }), evaluate);
  expect(opsLeft(folded.graph.node)).toEqual(['Add', 'Cast', 'Add', 'Sum']);
  expect(folded.graph.initializer.map(({ name }) => name)).toEqual(['c', 'also_six']);
});

test('bodies are folded one after the other', async () => {
  const branch = (name: string) =>
    tinyGraph({ outputs: { [name]: [FLOAT] }, nodes: [makeNode('Mul', ['c', 'c'], [name])] });
  const choice = (name: string) =>
    makeNode('If', ['b'], [name], {
      attributes: { then_branch: branch(`${name}_then`), else_branch: branch(`${name}_else`) },
    });
  const before = tinyModel({
    inputs: { b: [BOOL, []] },
    outputs: { p: [FLOAT], q: [FLOAT] },
    initializers: [floatTensor('c', [3])],
    nodes: [choice('p'), choice('q')],
  });
  let running = 0;
  const { model: folded } = await foldConstants(before, async (chunks) => {
    expect(++running).toBe(1);
    const values = await evaluate(chunks);
    running--;
    return values;
  });
  const bodies = folded.graph.node.flatMap(({ attribute }) => attribute.map(({ g }) => g));
  const values = bodies.map((body) => body?.initializer.map(tensorNumbers));
  expect(values).toEqual([[[9]], [[9]], [[9]], [[9]]]);
});

test('a runtime that has died is not asked again', async () => {
  let asked = 0;
  const { model: folded, warnings } = await foldConstants(model([], {}), () => {
    asked++;
    return Promise.reject(new RuntimeFailure('CRASHED', 'the runtime was killed'));
  });
  expect(asked).toBe(1);
  expect(folded.graph.node).toHaveLength(4);
  expect(warnings).toEqual([expect.stringContaining('the runtime was killed')]);
});

test.each([new RuntimeFailure('ABORTED', 'stopped'), new TypeError('a mistake')])(
  '%s ends it',
  async (error) => {
    await expect(foldConstants(model([], {}), () => Promise.reject(error))).rejects.toBe(error);
  },
);
