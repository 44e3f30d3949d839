import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { BenchReport, CandidateRow } from '../../agent/contracts/bench.ts';
import type { DecisionRecord } from '../../agent/contracts/fit.ts';
import type { Release } from '../../agent/contracts/release.ts';
import { openInferState } from '../../agent/daemon/infer-state.ts';
import { benchReport } from '../fleet/support/documents.ts';
import { temporaryFolder } from './support.ts';

const ID = 'onnxruntime/int8-static/t2';

function row(p90: number, accuracy: number | null): CandidateRow {
  return {
    id: ID,
    precision: 'int8',
    method: 'static',
    runtime: 'onnxruntime',
    threads: 2,
    bytes: 1,
    latencyMs: { p50: p90 / 2, p90, p99: p90 * 2, mean: p90, min: 0, count: 10 },
    throughputPerSecond: null,
    loadMs: null,
    peakRssBytes: null,
    ownOverheadMs: null,
    integerCoverage: null,
    fidelity: { sqnrDb: 31.5, cosine: 1, top1Agreement: 1, samples: 10 },
    accuracy: accuracy === null ? null : { metric: 'top1', value: accuracy, drop: 0 },
    heat: null,
    why: '',
    verdict: 'chosen',
    reason: '',
  };
}

const report = (p90: number, accuracy: number | null = null): BenchReport => ({
  ...benchReport(),
  candidates: [row(p90, accuracy)],
});

const release: Release = {
  schema: 'edgefit/release/1',
  digest: 'd'.repeat(64),
  model: 'kws',
  version: '1.0.0',
  releaseCounter: 1,
  file: 'model.onnx',
  precision: 'int8',
  runtime: 'onnxruntime',
  files: [],
};

/** Fitted with 10 ms and 0.9, among slower ones. */
const fitted: DecisionRecord = {
  schema: 'edgefit/decision/1',
  decidedAt: '2026-03-01T12:00:00.250Z',
  agent: '0.1.0',
  chosen: {
    id: ID,
    file: 'model.onnx',
    companions: [],
    sha256: '00',
    bytes: 1,
    precision: 'int8',
    method: 'static',
    runtime: 'onnxruntime',
    threads: 2,
    reason: '',
  },
  bench: {
    ...report(10, 0.9),
    candidates: [{ ...row(99, 0.99), id: 'other' }, row(10, 0.9)],
    chosen: ID,
  },
};

function open(state: string) {
  const warnings: string[] = [];
  const limits = { maxP90Ratio: 1.5, maxAccuracyDrop: 0.01 };
  return openInferState({ state, limits, warn: (message) => void warnings.push(message) }).then(
    (infer) => ({ infer, warnings }),
  );
}

describe('figures of deployed models', () => {
  test('begin with those of the fit, and a bench without samples keeps the accuracy', async () => {
    const state = temporaryFolder();
    const { infer } = await open(state);
    await infer.switched('kws', release, fitted);
    expect(infer.models().get('kws')?.values).toEqual({
      p50Ms: 5,
      p90Ms: 10,
      p99Ms: 20,
      driftRatio: 1,
      accuracy: 0.9,
      sqnrDb: 31.5,
      energyMillijoules: null,
    });
    expect(await infer.measured({ release, report: report(12), fitted })).toEqual([]);
    expect(infer.models().get('kws')?.values).toMatchObject({
      p90Ms: 12,
      driftRatio: 1.2,
      accuracy: 0.9,
      sqnrDb: 31.5,
    });
    expect((await open(state)).infer.models()).toEqual(infer.models());
  });

  test('tell a drift once, also across a restart, and its end', async () => {
    const state = temporaryFolder();
    const { infer } = await open(state);
    await infer.switched('kws', release, fitted);
    const slow = { release, report: report(16, 0.88), fitted };
    expect(await infer.measured(slow)).toEqual([
      expect.objectContaining({ kind: 'latency', beyond: true, before: 10, now: 16, limit: 1.5 }),
      expect.objectContaining({ kind: 'accuracy', beyond: true, before: 0.9, now: 0.88 }),
    ]);
    const { infer: again } = await open(state);
    expect(await again.measured(slow)).toEqual([]);
    // The daily one has no samples: nobody has seen the accuracy rise again.
    expect(await again.measured({ release, report: report(16), fitted })).toEqual([]);
    expect(again.models().get('kws')?.values).toMatchObject({ accuracy: 0.88 });
    expect(await again.measured({ release, report: report(11, 0.9), fitted })).toEqual([
      expect.objectContaining({ kind: 'latency', beyond: false, now: 11 }),
      expect.objectContaining({ kind: 'accuracy', beyond: false, now: 0.9 }),
    ]);
  });

  test('go with their model, and a record that is lost leaves them unknown', async () => {
    const { infer } = await open(temporaryFolder());
    await infer.switched('kws', release, null);
    expect(infer.models().get('kws')?.values).toMatchObject({ p90Ms: null, driftRatio: null });
    expect(await infer.measured({ release, report: report(99), fitted: null })).toEqual([]);
    await infer.switched('kws', null, null);
    expect(infer.models().size).toBe(0);
  });

  test('begin anew where their file is damaged', async () => {
    const state = temporaryFolder();
    await (await open(state)).infer.switched('kws', release, fitted);
    const path = join(state, 'infer.json');
    writeFileSync(path, readFileSync(path, 'utf8').slice(0, -20));
    const { infer, warnings } = await open(state);
    expect([infer.models().size, warnings.length]).toEqual([0, 1]);
  });
});
