import { expect, test } from '@jest/globals';
import {
  missedObjectives,
  resolveObjective,
  uncertainty,
} from '../../../agent/fit/decide/objective.ts';
import type { ObjectiveRequest } from '../../../agent/fit/types.ts';
import { report } from '../report-fixture.ts';

const nothing: ObjectiveRequest = {
  optimize: 'latency',
  maxAccuracyDrop: null,
  minSqnrDb: null,
  maxP90Ms: null,
};

test('labels: one point of the task metric; no labels: 20 dB', () => {
  expect(resolveObjective(nothing, true)).toEqual({ ...nothing, maxAccuracyDrop: 1 });
  expect(resolveObjective(nothing, false)).toEqual({ ...nothing, minSqnrDb: 20 });
});

test('what was given stays', () => {
  const given = { ...nothing, maxAccuracyDrop: 0.5, minSqnrDb: 30 };
  expect(resolveObjective(given, true)).toEqual(given);
  expect(resolveObjective({ ...nothing, minSqnrDb: 12 }, false).minSqnrDb).toBe(12);
});

test('a drop of accuracy cannot be limited without labels', () => {
  expect(() => resolveObjective({ ...nothing, maxAccuracyDrop: 1 }, false)).toThrow(
    '--max-accuracy-drop needs labelled samples',
  );
});

test('standard error of a share, and what one sample is worth', () => {
  expect(uncertainty(0.5, 100)).toEqual({ flipPoints: 1, errorPoints: 5 });
  expect(uncertainty(1, 50)).toEqual({ flipPoints: 2, errorPoints: 0 });
  expect(uncertainty(1.2, 50).errorPoints).toBe(0);
});

test('only a missed limit on p90 is a missed objective', () => {
  expect(missedObjectives(report)).toEqual([]);
  const objective = { ...report.objective, maxP90Ms: 1 };
  expect(missedObjectives({ ...report, objective })).toEqual([
    '--max-p90-ms is not met: onnxruntime/int8-static/t2 has p90 1.92 against 1.00 ms',
  ]);
  expect(missedObjectives({ ...report, objective: { ...objective, maxP90Ms: 1.92 } })).toEqual([]);
  expect(missedObjectives({ ...report, objective, chosen: null })).toEqual([]);
});
