import { expect, test } from '@jest/globals';
import { makeNode } from '../../../agent/model/onnx/graph.ts';
import { splitStages, stageGraph } from '../../../agent/model/onnx/stages.ts';
import { DataType, floatTensor } from '../../../agent/model/onnx/tensor.ts';
import { tinyGraph } from '../../support/onnx-models.ts';

/** x -> Relu a -> Neg b -> Add(a, b) c -> Mul(c, one) y */
const GRAPH = tinyGraph({
  inputs: { x: [DataType.FLOAT, [2]] },
  outputs: { y: [DataType.FLOAT] },
  initializers: [floatTensor('one', [1]), floatTensor('other', [2])],
  nodes: [
    makeNode('Relu', ['x'], ['a']),
    makeNode('Neg', ['a'], ['b']),
    makeNode('Add', ['a', 'b'], ['c']),
    makeNode('Mul', ['c', 'one'], ['y']),
  ],
});

test('each stage reads what came before and gives what comes after', () => {
  const stages = splitStages(GRAPH, new Set(['b', 'y']));
  expect(stages.map(({ reads, gives }) => ({ reads, gives }))).toEqual([
    { reads: ['x'], gives: ['a', 'b'] },
    { reads: ['a', 'b'], gives: ['y'] },
  ]);
  expect(stages.flatMap(({ nodes }) => nodes)).toEqual(GRAPH.node);
});

test('nothing is run behind the last end', () => {
  const stages = splitStages(GRAPH, new Set(['b']));
  expect(stages.map(({ nodes, gives }) => [nodes.length, gives])).toEqual([[2, ['b']]]);
});

test('the graph of a stage has its own inputs, outputs and constants', () => {
  const [, last] = splitStages(GRAPH, new Set(['b', 'y']));
  const types = new Map([
    ['a', DataType.FLOAT],
    ['b', DataType.UINT8],
  ]);
  const made = stageGraph(GRAPH, last ?? { nodes: [], reads: [], gives: [] }, types);
  expect(made.input.map(({ name, type }) => [name, type?.tensorType?.elemType])).toEqual([
    ['a', DataType.FLOAT],
    ['b', DataType.UINT8],
  ]);
  expect(made.output).toEqual([{ name: 'y' }]);
  expect(made.initializer.map(({ name }) => name)).toEqual(['one']);
});
