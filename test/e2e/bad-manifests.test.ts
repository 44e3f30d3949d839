import { afterAll, expect, test } from '@jest/globals';
import { agent, removeFolders } from './support/agent.ts';
import { refusal } from './support/expect.ts';
import { productModel, productSamples, testFiles } from './support/files.ts';

afterAll(removeFolders);
const { put } = testFiles();
put('model.onnx', productModel());
put(
  'ten.npy',
  productSamples(10, (value) => value),
);

const manifest = (changes: object) =>
  JSON.stringify({
    schema: 'edgefit/model/1',
    name: 'product',
    version: '1.0.0',
    licence: 'MIT',
    model: 'model.onnx',
    inputs: { x: { array: {} } },
    ...changes,
  });
const samples = (range: object) => ({ samples: { calibration: { path: 'ten.npy', ...range } } });

test.each([
  ['broken JSON', '{ "schema": ', 'not JSON'],
  ['a list', '[1]', 'expected object'],
  ['another schema', manifest({ schema: 'edgefit/model/9' }), 'schema: '],
  [
    'a field of the wrong type',
    manifest({ inputs: { x: { image: { width: 'wide' } } } }),
    'inputs.x.image.width: ',
  ],
  [
    'an input that is none',
    manifest({ inputs: { z: { array: {} } } }),
    "inputs.z: the model has no input 'z'; it has: x",
  ],
  [
    'an output that is none',
    manifest({ task: { kind: 'classification', output: 'nope' } }),
    "task.output: the model has no output 'nope'; it has: y",
  ],
  ['a range behind the last sample', manifest(samples({ from: 0, to: 99 })), '(there are 10)'],
  ['a range that ends first', manifest(samples({ from: 5, to: 2 })), 'samples.calibration.to: '],
])('%s', async (title, text, says) => {
  const path = put(`${title.replaceAll(' ', '-')}.json`, text);
  expect(await agent(['bench', path])).toMatchObject(refusal(2, says));
});

test('a model that is missing', async () => {
  const path = put('gone.json', manifest({ model: 'gone.onnx' }));
  expect(await agent(['bench', path])).toMatchObject(refusal(2, 'gone.onnx: no such file'));
});
