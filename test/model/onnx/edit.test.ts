import { describe, expect, test } from '@jest/globals';
import { applyEdit, dropUnused, isEmptyEdit, newEdit } from '../../../agent/model/onnx/edit.ts';
import { exposeTensors } from '../../../agent/model/onnx/expose.ts';
import type { GraphProto, NodeProto } from '../../../agent/model/onnx/generated/messages.ts';
import { makeNode, opName } from '../../../agent/model/onnx/graph.ts';
import { floatTensor } from '../../../agent/model/onnx/tensor.ts';
import { tinyGraph, tinyModel } from '../../support/onnx-models.ts';

const neg = (from: string, to: string) => makeNode('Neg', [from], [to]);
const body = (nodes: NodeProto[], out: string) => tinyGraph({ outputs: { [out]: [1] }, nodes });
const branch = (nodes: NodeProto[], out: string, to: string) =>
  makeNode('If', ['go'], [to], {
    attributes: { then_branch: body(nodes, out), else_branch: body([neg('x', 'e')], 'e') },
  });

/** `Neg(x)=a` per node. */
const describeNodes = ({ node }: GraphProto) =>
  node.map((one) => `${opName(one)}(${one.input.join()})=${one.output.join()}`);

const thenOf = (edited: GraphProto) => edited.node[1]!.attribute[0]!.g!;

describe('an edit', () => {
  const first = neg('x', 'a');
  const second = neg('a', 'b');
  const third = neg('b', 'y');
  const graph = tinyGraph({
    inputs: { x: [1] },
    outputs: { y: [1] },
    initializers: [floatTensor('k', 1)],
    nodes: [first, second, third],
  });

  test('of nothing gives the same graph', () => {
    expect(isEmptyEdit(newEdit())).toBe(true);
    expect(applyEdit(graph, newEdit())).toBe(graph);
  });

  test('replaces, removes and renames at once, and leaves the graph it was given', () => {
    const edit = newEdit();
    edit.replace.set(first, [makeNode('Abs', ['x'], ['c']), makeNode('Abs', ['c'], ['a'])]);
    edit.replace.set(second, []);
    edit.rename.set('b', 'a');
    const before = structuredClone(graph);
    expect(describeNodes(applyEdit(graph, edit))).toEqual(['Abs(x)=c', 'Abs(c)=a', 'Neg(a)=y']);
    expect(graph).toEqual(before);
  });

  test('follows chains of renames, however long', () => {
    const edit = newEdit();
    for (let i = 0; i < 100_000; i++) edit.rename.set(`n${i}`, `n${i + 1}`);
    edit.rename.set('b', 'n99990');
    expect(describeNodes(applyEdit(graph, edit)).at(-1)).toBe('Neg(n100000)=y');
  });

  test('puts initializers in the place of those of the same name', () => {
    const edit = newEdit();
    edit.initializers.set('k', floatTensor('k', 2));
    edit.initializers.set('new', floatTensor('new', 3));
    const { initializer } = applyEdit(graph, edit);
    expect(initializer).toEqual([floatTensor('k', 2), floatTensor('new', 3)]);
  });

  test('renames what a body captures, and an output that it hands on', () => {
    const inner = tinyGraph({
      outputs: { y: [1] },
      nodes: [first, branch([neg('a', 't')], 't', 'y')],
    });
    const through = tinyGraph({ outputs: { y: [1] }, nodes: [first, branch([], 'a', 'y')] });
    const edit = newEdit();
    edit.rename.set('a', 'x');
    expect(describeNodes(thenOf(applyEdit(inner, edit)))).toEqual(['Neg(x)=t']);
    // The branch's output keeps its name.
    expect(describeNodes(thenOf(applyEdit(through, edit)))).toEqual(['Identity(x)=a']);
  });
});

describe('dropping what nobody reads', () => {
  test('removes whole dead ends, and constants with them', () => {
    const graph = tinyGraph({
      inputs: { x: [1] },
      outputs: { y: [1], given: [1] },
      initializers: ['k', 'dead', 'given', 'captured'].map((name) => floatTensor(name, 1)),
      nodes: [
        makeNode('Add', ['x', 'k'], ['a']),
        makeNode('Add', ['x', 'dead'], ['b']),
        neg('b', 'c'),
        makeNode('Split', ['a'], ['', 'part']),
        branch([neg('captured', 't')], 't', 'y'),
      ],
    });
    const left = dropUnused(graph);
    expect(describeNodes(left)).toEqual(['If(go)=y']);
    expect(left.initializer.map(({ name }) => name)).toEqual(['given', 'captured']);
  });

  test('keeps a node for one output of several', () => {
    const graph = tinyGraph({
      outputs: { y: [1] },
      nodes: [makeNode('Split', ['x'], ['a', 'b']), neg('b', 'y')],
    });
    expect(dropUnused(graph)).toBe(graph);
  });
});

test('inner tensors become outputs once, with their types where they are known', () => {
  const model = tinyModel({
    inputs: { x: [1, [2]] },
    outputs: { y: [1] },
    initializers: [floatTensor('k', 1)],
    valueInfo: { a: [1, [2]] },
    nodes: [neg('x', 'a'), makeNode('Add', ['a', 'k'], ['b']), neg('b', 'y')],
  });
  const { graph } = exposeTensors(model, ['a', 'b', 'a', 'y', 'x', 'k', 'unknown']);
  expect(graph.output.map(({ name }) => name)).toEqual(['y', 'a', 'b']);
  expect(graph.output[1]?.type?.tensorType?.elemType).toBe(1);
  expect(graph.output[2]?.type).toBeUndefined();
  expect(model.graph.output).toHaveLength(1);
});
