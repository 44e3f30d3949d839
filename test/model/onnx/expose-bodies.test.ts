import { describe, expect, test } from '@jest/globals';
import { exposeBodies } from '../../../agent/model/onnx/expose-bodies.ts';
import { exposeTensors } from '../../../agent/model/onnx/expose.ts';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { withGraph } from '../../../agent/model/onnx/open.ts';
import type { OnnxModel } from '../../../agent/model/onnx/open.ts';
import { DataType, int64Tensor, makeTensor } from '../../../agent/model/onnx/tensor.ts';
import { withUniqueNames } from '../../../agent/model/onnx/unique-names.ts';
import type { Feeds } from '../../../agent/runtime/types.ts';
import { run } from '../../quantize/support.ts';
import { tinyGraph, tinyModel } from '../../support/onnx-models.ts';

/** y = flag ? neg(exp(x)) : neg(relu(x)); both branches call the middle `m`. */
const branch = (op: string, name: string) =>
  tinyGraph({
    outputs: { [name]: [1] },
    nodes: [makeNode(op, ['x'], ['m']), makeNode('Neg', ['m'], [name])],
  });

const twoBranches = tinyModel({
  inputs: { x: [1, [2]], flag: [DataType.BOOL, []] },
  outputs: { y: [1] },
  nodes: [
    makeNode('If', ['flag'], ['y'], {
      attributes: { then_branch: branch('Exp', 'a'), else_branch: branch('Relu', 'b') },
    }),
  ],
});

function shownBy(model: OnnxModel, names: readonly string[]) {
  const { graph, shown } = exposeBodies(model.graph, new Set(names));
  return {
    shown,
    model: exposeTensors(
      withGraph(model, graph),
      shown.map(({ as }) => as),
    ),
  };
}

const feeds = (flag: boolean): Feeds => ({
  x: { dtype: 'float32', shape: [2], data: Float32Array.of(0, -1) },
  flag: { dtype: 'bool', shape: [], data: Uint8Array.of(flag ? 1 : 0) },
});

describe('an If', () => {
  const unique = withGraph(twoBranches, withUniqueNames(twoBranches.graph));

  test('whose branches share names gets names of its own for each', async () => {
    const middles = unique.graph.node[0]?.attribute.map(({ g }) => g?.node[0]?.output[0]);
    expect(middles).toEqual(['m', 'm_1']);
    for (const flag of [true, false]) {
      // oxlint-disable-next-line no-await-in-loop -- one session at a time
      const [before, after] = [await run(twoBranches, feeds(flag)), await run(unique, feeds(flag))];
      expect(after).toEqual(before);
    }
  });

  test('hands out what its taken branch computed, and nothing of the other', async () => {
    const { model, shown } = shownBy(unique, ['m', 'm_1']);
    const as = Object.fromEntries(shown.map((one) => [one.tensor, one.as]));
    const taken = await run(model, feeds(true));
    expect([...(taken[as['m']!]!.data as Float32Array)]).toEqual([1, Math.fround(Math.exp(-1))]);
    expect(taken[as['m_1']!]?.data).toHaveLength(0);
    const other = await run(model, feeds(false));
    expect(other[as['m']!]?.data).toHaveLength(0);
    expect([...(other[as['m_1']!]!.data as Float32Array)]).toEqual([0, 0]);
    expect(other['y']).toEqual((await run(twoBranches, feeds(false)))['y']);
  });

  test('in a branch of an If hands out through both', async () => {
    const inner = { ...branch('Exp', 'a'), node: [...unique.graph.node], name: 'inner' };
    const nested = tinyModel({
      inputs: { x: [1, [2]], flag: [DataType.BOOL, []] },
      outputs: { z: [1] },
      nodes: [
        makeNode('If', ['flag'], ['z'], {
          attributes: {
            then_branch: { ...inner, output: [{ name: 'y' }] },
            else_branch: tinyGraph({ outputs: { e: [1] }, nodes: [makeNode('Abs', ['x'], ['e'])] }),
          },
        }),
      ],
    });
    const { model, shown } = shownBy(nested, ['m', 'e']);
    expect(shown.map(({ tensor }) => tensor).toSorted()).toEqual(['e', 'm']);
    const taken = await run(model, feeds(true));
    const as = (name: string) => shown.find(({ tensor }) => tensor === name)!.as;
    expect((taken[as('m')]!.data as Float32Array)[0]).toBe(1);
    expect(taken[as('e')]?.data).toHaveLength(0);
  });
});

test('a Loop hands out the values of all iterations', async () => {
  const body = tinyGraph({
    inputs: { i: [DataType.INT64, []], going: [DataType.BOOL, []], s: [1, [2]] },
    outputs: { still: [DataType.BOOL, []], next: [1, [2]] },
    nodes: [
      makeNode('Identity', ['going'], ['still']),
      makeNode('Add', ['s', 'x'], ['sum']),
      makeNode('Identity', ['sum'], ['next']),
    ],
  });
  const model = tinyModel({
    inputs: { x: [1, [2]], flag: [DataType.BOOL, []] },
    outputs: { y: [1] },
    initializers: [
      int64Tensor('three', [3]),
      makeTensor('on', DataType.BOOL, [], Uint8Array.of(1)),
    ],
    nodes: [makeNode('Loop', ['three', 'on', 'x'], ['y'], { attributes: { body } })],
  });
  const { model: exposed, shown } = shownBy(model, ['sum']);
  expect(shown).toEqual([{ tensor: 'sum', as: 'sum:shown', stacked: true }]);
  const outputs = await run(exposed, { x: feeds(true)['x']!, flag: feeds(true)['flag']! });
  expect(outputs['sum:shown']?.shape).toEqual([3, 2]);
  expect([...(outputs['sum:shown']!.data as Float32Array)]).toEqual([0, -2, 0, -3, 0, -4]);
});
