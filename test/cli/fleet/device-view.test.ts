import { expect, test } from '@jest/globals';
import { renderDevice } from '../../../agent/cli/fleet/device-view.ts';
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
  const view = { deviceId: 'pi-7', status: null, birth: null, twin: null, kept: [] };
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
