import { expect, test } from '@jest/globals';
import { exposableTensors, exposeTensors } from '../../../agent/model/tflite/expose.ts';
import { makeOperator } from '../../../agent/model/tflite/types.ts';
import type { TfliteModel } from '../../../agent/model/tflite/types.ts';
import { add, constant, throughFile, tinyTflite, value } from '../../support/tflite-models.ts';

const relu = (input: number, output: number) =>
  makeOperator({ op: 'RELU', inputs: [input], outputs: [output] });

/** x -> a -> b -> y, with two tensors of one name and a decoded weight. */
function chain(): TfliteModel {
  return tinyTflite(
    {
      tensors: [
        value('x'),
        value('a'),
        value('a'),
        value('y'),
        constant('w', Int8Array.of(1, 2, 3, 4)),
        value('decoded', [4]),
        value('text', [1], 'STRING'),
      ],
      inputs: [0],
      outputs: [3],
      operators: [
        makeOperator({ op: 'DEQUANTIZE', inputs: [4], outputs: [5] }),
        relu(0, 1),
        add(1, 5, 2),
        relu(2, 3),
        makeOperator({ op: 'CUSTOM', customCode: 'Text', inputs: [3], outputs: [6] }),
      ],
    },
    {
      signatures: [
        {
          key: 'run',
          subgraph: 0,
          inputs: [{ name: 'in', tensor: 0 }],
          outputs: [{ name: 'out', tensor: 3 }],
        },
      ],
    },
  );
}

const outputNames = (model: TfliteModel) => {
  const [graph] = throughFile(model).subgraphs;
  return graph!.outputs.map((index) => graph!.tensors[index]!.name);
};

test('what can be shown: what operators make of inputs, by unique names', () => {
  expect(exposableTensors(chain())).toEqual(['a', 'a_2', 'y']);
});

test('own outputs first, the new ones in the order in which they are made', () => {
  const model = exposeTensors(chain(), ['a_2', 'a', 'nobody', 'w', 'decoded', 'text']);
  expect(outputNames(model)).toEqual(['y', 'a', 'a_2']);
  expect(model.signatures).toHaveLength(1);
});

test('without the own outputs only what leads to the wanted ones is left', () => {
  const model = exposeTensors(chain(), ['a'], { keepOutputs: false });
  expect(outputNames(model)).toEqual(['a']);
  // The custom operator may have effects, so it stays, with what it reads.
  expect(model.subgraphs[0]?.operators.map(({ op }) => op)).toContain('CUSTOM');
  expect(model.signatures).toEqual([]);
});

test('a name stays the same tensor when what came before it is dropped', () => {
  const graph = chain().subgraphs[0]!;
  const operators = graph.operators.slice(0, 4);
  const model = { ...chain(), subgraphs: [{ ...graph, operators }] };
  const second = exposeTensors(model, ['a_2'], { keepOutputs: false });
  expect(outputNames(second)).toEqual(['a_2']);
  expect(second.subgraphs[0]?.operators.map(({ op }) => op)).toEqual(['DEQUANTIZE', 'RELU', 'ADD']);
});

test('an own output that is asked for is there once', () => {
  expect(outputNames(exposeTensors(chain(), ['y']))).toEqual(['y']);
});
