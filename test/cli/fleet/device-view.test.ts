import { expect, test } from '@jest/globals';
import { renderDevice } from '../../../agent/cli/fleet/device-view.ts';
import type { DeviceDecision } from '../../../agent/contracts/device-decision.ts';
import type { JobRecord } from '../../../agent/contracts/job.ts';

const NOW = Date.parse('2026-03-01T12:10:00.000Z');

const job: JobRecord = {
  schema: 'edgefit/job/1',
  deviceId: 'pi-7',
  jobId: 'j1',
  jobType: 'deploy',
  rolloutId: null,
  digest: null,
  seq: 9,
  status: 'SUCCEEDED',
  phase: 'committing',
  attempt: 1,
  outcome: 'applied',
  reason: null,
  progress: null,
  result: {
    table: [
      {
        id: 'onnxruntime/fp32/t2',
        verdict: 'slower',
        why: '2.0x slower',
        p90Ms: 16.4,
        sqnrDb: null,
        accuracyDrop: 0,
      },
      {
        id: 'onnxruntime/int8-static/t2',
        verdict: 'chosen',
        why: 'fastest',
        p90Ms: 8.2,
        sqnrDb: 33.44,
        accuracyDrop: 0.001,
      },
    ],
  },
  phases: { accepted: 3, waiting: 0.2, fitting: 61_000 },
  ts: '2026-03-01T12:00:00.000Z',
  mono: 1,
  bootId: null,
};

const VIEW = { deviceId: 'pi-7', status: null, birth: null, twin: null, kept: [] };

test('what a device runs and why, and what each phase took', () => {
  const failed: JobRecord = {
    ...job,
    jobId: 'j2',
    status: 'FAILED',
    outcome: 'no_state_change',
    reason: { code: 'gate_missed', text: 'p90 12 ms, limit 10 ms' },
    result: null,
    phases: {},
  };
  const view = { ...VIEW, decisions: [] };
  const text = renderDevice(
    { ...view, jobs: [failed, job] },
    { width: 80, color: false, nowMs: NOW },
  );
  expect(text).toEqual([
    'device    pi-7',
    'state     says nothing',
    'agent     unknown',
    '',
    'Decision of j1',
    'candidate                   p90 ms SQNR dB  points',
    'onnxruntime/fp32/t2           16.4       -     0.0',
    '    2.0x slower',
    'onnxruntime/int8-static/t2    8.20    33.4    -0.1  chosen',
    '    fastest',
    '',
    'Jobs',
    '  2026-03-01 12:00 deploy j2: failed, no_state_change',
    '    gate_missed: p90 12 ms, limit 10 ms',
    '  2026-03-01 12:00 deploy j1: succeeded, applied',
    '    accepted 3 ms, fitting 1 min',
  ]);
});

test('the decision on what runs stands when the records of jobs are gone', () => {
  const told: DeviceDecision = {
    schema: 'edgefit/device-decision/1',
    deviceId: 'pi-7',
    ts: '2026-03-01T12:05:00.000Z',
    model: 'kws',
    version: '2.1.0',
    releaseCounter: 4,
    digest: 'd',
    decidedAt: '2026-02-01T08:30:00.000Z',
    agent: '0.1.0',
    chosen: {
      id: 'onnxruntime/int8-static/t2',
      precision: 'int8',
      method: 'static',
      runtime: 'onnxruntime',
      threads: 2,
      bytes: 1000,
      reason: 'fastest',
    },
    calibration: { source: 'package', samples: 64 },
    table: [
      {
        id: 'onnxruntime/int8-static/t2',
        verdict: 'chosen',
        why: 'fastest',
        p90Ms: 8.2,
        sqnrDb: 33.44,
        accuracyDrop: 0.001,
      },
    ],
  };
  const text = renderDevice(
    { ...VIEW, decisions: [told], jobs: [] },
    { width: 80, color: false, nowMs: NOW },
  );
  expect(text.slice(3)).toEqual([
    '',
    'Decision on kws 2.1.0: int8',
    '  2026-02-01 08:30, calibrated with 64 samples of the package',
    'candidate                   p90 ms SQNR dB  points',
    'onnxruntime/int8-static/t2    8.20    33.4    -0.1  chosen',
    '    fastest',
    '',
    'no jobs',
  ]);
});
