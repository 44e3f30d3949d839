import { rolloutSpecSchema, type Rollout, type Wave } from '../../../agent/contracts/rollout.ts';

export const counts = (part: Partial<Rollout['counts']> = {}): Rollout['counts'] => ({
  targets: 0,
  pending: 0,
  open: 0,
  succeeded: 0,
  failed: 0,
  rejected: 0,
  canceled: 0,
  rolledBack: 0,
  ...part,
});

export const wave = (part: Partial<Wave> = {}): Wave => ({
  index: 0,
  kind: 'canary',
  percent: null,
  state: 'running',
  counts: counts({ targets: 2, open: 1, succeeded: 1 }),
  classes: { 'rpi-5': 1, 'rpi-4b': 1 },
  startedAt: '2026-03-01T12:00:00.000Z',
  soakUntil: null,
  endedAt: null,
  compared: null,
  verdict: null,
  ...part,
});

/** A rollout of 20 devices whose canaries are under way. */
export function rollout(part: Partial<Rollout> = {}): Rollout {
  return {
    schema: 'edgefit/rollout/1',
    rolloutId: 'r1',
    rev: 1,
    epoch: 1,
    state: 'running',
    spec: rolloutSpecSchema.parse({ model: { name: 'kws', version: '2.1.0' } }),
    createdAt: '2026-03-01T11:59:00.000Z',
    createdBy: 'ann',
    startedAt: '2026-03-01T12:00:00.000Z',
    endedAt: null,
    ts: '2026-03-01T12:00:05.000Z',
    reason: null,
    wave: 0,
    waves: [
      wave(),
      wave({
        index: 1,
        kind: 'percent',
        percent: 100,
        state: 'scheduled',
        counts: counts({ targets: 18, pending: 18 }),
        classes: { 'rpi-5': 12, 'rpi-4b': 6 },
        startedAt: null,
      }),
    ],
    counts: counts({ targets: 20, pending: 18, open: 1, succeeded: 1 }),
    offline: 3,
    left: [],
    failures: [],
    ...part,
  };
}
