import { expect, test } from '@jest/globals';
import { misspeltKeys } from '../../agent/model/manifest/misspelt.ts';

test('keys that look like known ones are named, with their place', () => {
  const manifest = {
    schema: 'edgefit/model/1',
    gate: { maxP90Ms: 5 },
    inputs: { image: { image: { width: 8, height: 8, means: [127.5] } } },
    samples: { calibrations: { path: 'a' }, evaluation: { path: 'b', form: 3 } },
  };
  expect(misspeltKeys(manifest)).toEqual([
    'gate: there is no such key; did you mean gates?',
    'samples.calibrations: there is no such key; did you mean calibration?',
    'samples.evaluation.form: there is no such key; did you mean from?',
    'inputs.image.image.means: there is no such key; did you mean mean?',
  ]);
});

test.each([
  [{ source: 'a zoo', licence: 'MIT', notes: 'none', title: 'x' }],
  [{ labels: 'a.txt', label: 'both are there, so it is no slip' }],
  [null],
  [[1]],
])('what else a manifest holds is its own affair: %j', (manifest) => {
  expect(misspeltKeys(manifest)).toEqual([]);
});
