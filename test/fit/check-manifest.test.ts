import { expect, test } from '@jest/globals';
import { checkManifest } from '../../agent/fit/check-manifest.ts';

const tensor = (name: string) => ({ name, dtype: 'float32', shape: [1, 4] }) as const;
const model = { inputs: [tensor('x'), tensor('state')], outputs: [tensor('y')] };
const array = { array: {} };

test('names that the model has are fine; inputs may be left out', () => {
  const task = { kind: 'classification', output: 'y', labelOffset: 0 };
  expect(() =>
    checkManifest({ manifestPath: 'm.json', inputs: { x: array }, task }, model),
  ).not.toThrow();
});

test('a plain model file claims nothing', () => {
  const stray = { manifestPath: null, inputs: { z: array }, task: null };
  expect(() => checkManifest(stray, model)).not.toThrow();
});

test.each([
  [{ z: array }, null, "m.json: inputs.z: the model has no input 'z'; it has: x, state"],
  [
    {},
    { kind: 'ctc', output: 'Y', labelOffset: 0 },
    "m.json: task.output: the model has no output 'Y'; it has: y",
  ],
])('refused: %j %j', (inputs, task, message) => {
  expect(() => checkManifest({ manifestPath: 'm.json', inputs, task }, model)).toThrow(message);
});
