import { describe, expect, test } from '@jest/globals';
import { calledSubgraphs, reachedSubgraphs } from '../../../agent/model/tflite/calls.ts';
import { compact } from '../../../agent/model/tflite/compact.ts';
import {
  addTensor,
  applyEdit,
  newEdit,
  replaceInterface,
} from '../../../agent/model/tflite/edit.ts';
import {
  indexGraph,
  inputTensor,
  opName,
  operatorLabels,
  outputTensor,
  tensorNameMaker,
  withSubgraph,
} from '../../../agent/model/tflite/graph.ts';
import { makeOperator, makeQuantization, optionsOf } from '../../../agent/model/tflite/types.ts';
import type { TfliteGraph } from '../../../agent/model/tflite/types.ts';
import {
  add,
  constant,
  tfliteBytes,
  throughFile,
  tinySubgraph,
  tinyTflite,
  value,
} from '../../support/tflite-models.ts';
import { sampleModel } from './sample.ts';

const relu = (input: number, output: number) =>
  makeOperator({ op: 'RELU', inputs: [input], outputs: [output] });

/** x + w -> y -> Relu -> z */
const chain = (): TfliteGraph =>
  tinySubgraph({
    tensors: [value('x'), constant('w', Float32Array.of(1, 2, 3, 4)), value('y'), value('z')],
    inputs: [0],
    outputs: [3],
    operators: [add(0, 1, 2), relu(2, 3)],
  });

describe('the index of a graph', () => {
  const graph = chain();
  const index = indexGraph(graph);

  test('knows who makes and who reads a tensor', () => {
    expect(index.producer.get(2)).toBe(graph.operators[0]);
    expect(index.producer.get(0)).toBeUndefined();
    expect(index.consumers.get(2)).toEqual([graph.operators[1]]);
    expect(index.consumers.get(3)).toBeUndefined();
    expect([...index.constants.keys()]).toEqual([1]);
    expect([...index.inputs, ...index.outputs]).toEqual([0, 3]);
  });

  test('counts an operator once that reads a tensor twice, and left out inputs never', () => {
    const twice = makeOperator({ op: 'MUL', inputs: [0, 0, -1], outputs: [2] });
    const { consumers } = indexGraph({ ...graph, operators: [twice] });
    expect([...consumers]).toEqual([[0, [twice]]]);
    expect(inputTensor(graph, twice, 1)?.name).toBe('x');
    expect(inputTensor(graph, twice, 2)).toBeUndefined();
    expect(outputTensor(graph, twice)?.name).toBe('y');
  });
});

describe('names', () => {
  test('operators are called by what they make, each differently', () => {
    const effect = makeOperator({ op: 'CUSTOM', customCode: 'Log', inputs: [0], outputs: [] });
    const tensors = [value('x'), value('y'), value('y'), value('y_1')];
    const operators = [relu(0, 1), relu(1, 2), relu(2, 3), effect];
    const model = tinyTflite([
      { tensors, operators },
      { tensors, operators: [relu(0, 1)] },
    ]);
    expect([...operatorLabels(model).values()]).toEqual(['y', 'y_1', 'y_1_1', 'Log_0_3', 'y_2']);
    expect(opName(effect)).toBe('Log');
    expect(opName(relu(0, 1))).toBe('RELU');
  });

  test('new tensors get names that nobody has', () => {
    const make = tensorNameMaker(chain());
    expect([make('y'), make('y'), make('new'), make('new')]).toEqual([
      'y_1',
      'y_2',
      'new',
      'new_1',
    ]);
  });

  test('options are had by their kind', () => {
    const [operator] = chain().operators;
    expect(optionsOf(operator!, 'AddOptions')?.potScaleInt16).toBe(true);
    expect(optionsOf(operator!, 'MulOptions')).toBeUndefined();
  });
});

describe('an edit', () => {
  test('puts an operator between two others', () => {
    const graph = chain();
    const edit = newEdit(graph);
    const int8 = addTensor(edit, {
      ...value('y_int8', [1, 4], 'INT8'),
      quantization: makeQuantization([0.5], [3]),
    });
    const [first, second] = graph.operators;
    const quantize = makeOperator({
      op: 'QUANTIZE',
      inputs: [2],
      outputs: [int8],
      options: { kind: 'QuantizeOptions' },
    });
    edit.replace.set(first!, [first!, quantize]);
    edit.rename.set(2, int8);
    edit.fixed.add(quantize);
    // What stands in another's place is renamed like any other.
    edit.replace.set(second!, [{ ...second!, version: 2 }]);
    const renamed = applyEdit(graph, edit);
    expect(renamed.operators[2]?.version).toBe(2);
    expect(renamed.tensors[int8]?.name).toBe('y_int8');
    expect(renamed.operators.map(({ op, inputs, outputs }) => [op, inputs, outputs])).toEqual([
      ['ADD', [0, 1], [2]],
      ['QUANTIZE', [2], [4]],
      ['RELU', [4], [3]],
    ]);
    expect(graph).toEqual(chain());
  });

  test('follows chains of renames, and ends in a circle', () => {
    const graph = chain();
    const edit = newEdit(graph);
    edit.rename.set(2, 1);
    edit.rename.set(1, 0);
    expect(applyEdit(graph, edit).operators.map(({ inputs }) => inputs)).toEqual([[0, 0], [0]]);
    edit.rename.set(0, 2);
    expect(applyEdit(graph, edit).operators).toHaveLength(2);
  });

  test('that changes nothing gives the same graph', () => {
    const graph = chain();
    expect(applyEdit(graph, newEdit(graph))).toBe(graph);
  });

  test('replaces a tensor where it stands, and leaves other operators alone', () => {
    const graph = chain();
    const edit = newEdit(graph);
    edit.tensors.set(1, constant('w8', Int8Array.of(1, 2, 3, 4)));
    const after = applyEdit(graph, edit);
    expect(after.tensors.map(({ name }) => name)).toEqual(['x', 'w8', 'y', 'z']);
    expect(after.operators[0]).toBe(graph.operators[0]);
  });

  test('of what goes in and out reaches the signatures', () => {
    const named = (name: string, tensor: number) => ({ name, tensor });
    const model = tinyTflite(chain(), {
      signatures: [{ key: 's', subgraph: 0, inputs: [named('a', 0)], outputs: [named('b', 3)] }],
    });
    const after = replaceInterface(model, 0, { outputs: new Map([[3, 2]]) });
    expect(after.subgraphs[0]).toMatchObject({ inputs: [0], outputs: [2] });
    expect(after.signatures[0]).toMatchObject({
      inputs: [named('a', 0)],
      outputs: [named('b', 2)],
    });
  });
});

describe('compacting', () => {
  test('takes out what nobody uses, and moves every index', () => {
    const sample = sampleModel();
    const after = compact(sample);
    const before = sample.subgraphs[0]!;
    const [graph] = after.subgraphs;
    // Without 'w again', int4, sparse, scales and blocks, which no operator reads.
    expect(graph?.tensors.map(({ name }) => name)).toEqual([
      'x',
      'flag',
      'w',
      'y',
      'z',
      'variant',
      'state',
      'out',
    ]);
    const names = (list: readonly number[], { tensors }: TfliteGraph) =>
      list.map((tensor) => tensors[tensor]?.name);
    graph!.operators.forEach((operator, index) => {
      const old = before.operators[index]!;
      expect(names(operator.inputs, graph!)).toEqual(names(old.inputs, before));
      expect(names(operator.outputs, graph!)).toEqual(names(old.outputs, before));
      expect(names(operator.intermediates, graph!)).toEqual(names(old.intermediates, before));
    });
    expect(after.signatures[0]?.outputs).toEqual([{ name: 'out', tensor: 7 }]);
    expect(after.unusedBuffers).toEqual([]);
    expect(throughFile({ ...after, tail: null }).subgraphs).toEqual(after.subgraphs);
  });

  test('keeps the tensors that hold scales, and finds them again', () => {
    const scales = constant('scales', Float32Array.of(1, 2));
    const blocks = {
      ...constant('w', new Int8Array(4), { shape: [1, 4] }),
      quantization: {
        ...makeQuantization([], []),
        details: {
          kind: 'BlockwiseQuantization',
          scales: 1,
          zeroPoints: -1,
          blockSize: 2,
        } as const,
      },
    };
    const tensors = [value('unused'), scales, value('x'), blocks, value('y')];
    const graph = { tensors, inputs: [2], outputs: [4], operators: [add(2, 3, 4)] };
    const [after] = compact(tinyTflite(graph)).subgraphs;
    expect(after?.tensors.map(({ name }) => name)).toEqual(['scales', 'x', 'w', 'y']);
    expect(after?.tensors[2]?.quantization?.details).toMatchObject({ scales: 0, zeroPoints: -1 });
  });

  test('removes operators whose outputs nobody reads, unless they do something else', () => {
    const tensors = ['x', 'a', 'b', 'c', 'y', 'h'].map((name) => value(name));
    const assign = makeOperator({ op: 'ASSIGN_VARIABLE', inputs: [5, 0], outputs: [] });
    const once = makeOperator({
      op: 'WHILE',
      inputs: [0],
      outputs: [3],
      options: { kind: 'WhileOptions', condSubgraphIndex: 0, bodySubgraphIndex: 0 },
    });
    const handle = makeOperator({ op: 'VAR_HANDLE', inputs: [], outputs: [5] });
    const graph = {
      tensors,
      inputs: [0],
      outputs: [4],
      operators: [handle, relu(0, 1), relu(1, 2), once, assign, relu(0, 4)],
    };
    const [after] = compact(tinyTflite(graph)).subgraphs;
    expect(after?.operators.map(({ op }) => op)).toEqual([
      'VAR_HANDLE',
      'WHILE',
      'ASSIGN_VARIABLE',
      'RELU',
    ]);
    expect(after?.tensors.map(({ name }) => name)).toEqual(['x', 'c', 'y', 'h']);
  });
});

describe('writing', () => {
  const zeros = (scale: number) =>
    makeQuantization(Array<number>(100).fill(scale), Array<number>(100).fill(0));
  const sized = (scales: readonly number[]) =>
    tinyTflite({
      tensors: scales.map((scale, i) => ({ ...value(`t${i}`), quantization: zeros(scale) })),
    });
  const lengthOf = (...scales: readonly number[]) => tfliteBytes(sized(scales)).length;

  test('stores lists of the same content once', () => {
    // One more tensor costs its scales, 400 bytes, and no zero points, which are 800; the rest is
    // tables and a name.
    const more = lengthOf(0.5, 0.25) - lengthOf(0.5);
    expect(more).toBeGreaterThanOrEqual(400);
    expect(more).toBeLessThan(400 + 100);
    expect(lengthOf(0.5, 0.5) - lengthOf(0.5)).toBeLessThan(100);
    expect(throughFile(sized([0.5, 0.25, 0.5])).subgraphs).toEqual(
      sized([0.5, 0.25, 0.5]).subgraphs,
    );
  });

  test('stores short constants of the same content once', () => {
    const tensors = ['a', 'b'].map((name) => constant(name, new Int32Array(64).fill(7)));
    const [one, two] = [tensors.slice(0, 1), tensors].map(
      (list) => tfliteBytes(tinyTflite({ tensors: list })).length,
    );
    expect(two! - one!).toBeLessThan(100);
  });
});

describe('calls', () => {
  test.each([
    [{ kind: 'IfOptions', thenSubgraphIndex: 3, elseSubgraphIndex: 4 }, [3, 4]],
    [{ kind: 'WhileOptions', condSubgraphIndex: 1, bodySubgraphIndex: 2 }, [1, 2]],
    [{ kind: 'CallOnceOptions', initSubgraphIndex: 5 }, [5]],
    [{ kind: 'CallOptions', subgraph: 6 }, [6]],
    [{ kind: 'StablehloCaseOptions', branchSubgraphIndices: [7, 8, 9] }, [7, 8, 9]],
    [
      {
        kind: 'StableHLOCompositeOptions',
        name: 'odml.rms_norm',
        decompositionSubgraphIndex: 2,
        compositeAttributesFormat: 'FLEXBUFFERS',
        version: 1,
      },
      [2],
    ],
    [{ kind: 'ReshapeOptions', newShape: [1, 2] }, []],
    [null, []],
  ] as const)('of %j', (options, called) => {
    expect(calledSubgraphs(options)).toEqual(called);
  });

  test('every subgraph that can be reached is found once, also where they call each other', () => {
    const call = (subgraph: number) =>
      makeOperator({
        op: 'CALL',
        inputs: [],
        outputs: [],
        options: { kind: 'CallOptions', subgraph },
      });
    const model = tinyTflite([
      { operators: [call(2)] },
      { operators: [] },
      { operators: [call(3), call(0)] },
      { operators: [call(2)] },
    ]);
    expect(reachedSubgraphs(model)).toEqual([0, 2, 3]);
    expect(reachedSubgraphs(model, 1)).toEqual([1]);
    const other = withSubgraph(model, 1, tinySubgraph({ operators: [call(3)] }));
    expect(reachedSubgraphs(other, 1)).toEqual([1, 3, 2, 0]);
  });
});
