import { expect, test } from '@jest/globals';
import { makeNode, nodeLabel, renameInputs, subgraphsOf } from '../../../agent/model/onnx/graph.ts';
import { DataType } from '../../../agent/model/onnx/tensor.ts';
import { tinyGraph } from '../../support/onnx-models.ts';

const { FLOAT } = DataType;

test('a body that hands on a renamed tensor keeps the names of its outputs', () => {
  const body = tinyGraph({
    outputs: { a: [FLOAT], r: [FLOAT] },
    // A node may be called like any tensor; two nodes of one name are refused by onnxruntime.
    nodes: [makeNode('Relu', ['a'], ['r'], { name: 'a' })],
  });
  const node = makeNode('If', ['go'], ['y', 'z'], {
    attributes: { then_branch: body, else_branch: body },
  });
  for (const renamed of subgraphsOf(renameInputs(node, new Map([['a', 'b']])))) {
    expect(renamed.output.map(({ name }) => name)).toEqual(['a', 'r']);
    expect(renamed.node.map(({ opType, input, output }) => [opType, input, output])).toEqual([
      ['Relu', ['b'], ['r']],
      ['Identity', ['b'], ['a']],
    ]);
    expect(renamed.node.map(({ name }) => name)).toEqual(['a', undefined]);
    expect(nodeLabel(renamed.node[1]!)).toBe('a');
  }
});
