import { describe, expect, test } from '@jest/globals';
import { schemePresets } from '../../../agent/contracts/scheme.ts';
import type { Scheme } from '../../../agent/contracts/scheme.ts';
import { decibelOf, predictedNoise } from '../../../agent/fit/search/give-back.ts';
import type { Sensitivity } from '../../../agent/fit/search/give-back.ts';
import { mixToReach } from '../../../agent/fit/search/mixed.ts';
import type { MixedTools } from '../../../agent/fit/search/mixed.ts';
import { QuantizeError } from '../../../agent/quantize/errors.ts';

const LAYERS = 40;
const label = (number: number) => `layer ${number}`;

/** Layers of equal work; the first two make nearly all the noise. */
const sensitivity: Sensitivity = {
  sources: Array.from({ length: LAYERS }, (_, number) => ({
    kind: 'constants',
    name: label(number),
    units: [label(number)],
    elements: 0,
    meetsFloat: false,
    noise: number < 2 ? 2 : 0.001 * (number + 1),
  })),
  units: Array.from({ length: LAYERS }, (_, number) => ({
    label: label(number),
    op: 'Conv',
    work: 1,
  })),
};

/** A model whose real noise is a share of the prediction. Versions without integers are not made. */
function model(share: number) {
  const made: number[] = [];
  const tools: MixedTools = {
    sensitivity: () => Promise.resolve(sensitivity),
    score(scheme: Scheme) {
      const float = new Set(scheme.excluded);
      if (float.size === LAYERS) {
        return Promise.reject(new QuantizeError('NOTHING_TO_QUANTIZE', 'all is in float'));
      }
      made.push(float.size);
      const sqnrDb = decibelOf(share * predictedNoise(sensitivity, float));
      return Promise.resolve({ scheme, path: '', bytes: 0, ops: [], sqnrDb, ms: 1 });
    },
  };
  return { tools, made };
}

const STATIC: Scheme = schemePresets['int8-static'];

describe('the search for a mixed version', () => {
  test('gives back the layers that cost most where the prediction is right', async () => {
    const found = await mixToReach(10, STATIC, model(1).tools);
    expect(found?.sqnrDb).toBeGreaterThanOrEqual(10);
    expect([...(found?.given.keys() ?? [])]).toContain('layer 0');
    expect(found?.share).toBeLessThan(1);
  });

  test('aims higher by as much as the prediction for the plain version was too large', async () => {
    // 20 dB of 4.8 predicted would be nearly all layers; of a hundredth of that it is two.
    const found = await mixToReach(20, STATIC, model(0.01).tools, 0.1);
    expect([...(found?.given.keys() ?? [])].toSorted()).toEqual(['layer 0', 'layer 1']);
    expect(found?.sqnrDb).toBeGreaterThanOrEqual(20);
  });

  test('looks further where all would have to be given back by prediction', async () => {
    const { tools, made } = model(1);
    const plain = { ...tools, score: (one: Scheme) => hardened(one, tools) };
    const found = await mixToReach(40, STATIC, plain);
    expect(found?.share).toBeLessThan(1);
    expect(found?.sqnrDb).toBeGreaterThanOrEqual(40);
    expect(made.length).toBeLessThanOrEqual(7);
  });
});

/** The plain version is as bad as predicted; with its two worst layers in float all is well. */
async function hardened(scheme: Scheme, tools: MixedTools) {
  const scored = await tools.score(scheme);
  const cured = ['layer 0', 'layer 1'].every((one) => scheme.excluded.includes(one));
  return cured ? { ...scored, sqnrDb: 45 } : scored;
}
