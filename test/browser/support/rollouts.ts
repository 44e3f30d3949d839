import { readFile } from 'node:fs/promises';
import {
  rolloutSchema,
  rolloutSpecSchema,
  type JobCounts,
  type Rollout,
  type Wave,
} from '../../../agent/contracts/rollout.ts';
import type { Keyring } from '../../../agent/fleet/protocol/signed.ts';

/** The public half that lies beside a private key file of the simulation. */
export async function keyringOf(keyFile: string): Promise<Keyring> {
  const text = await readFile(keyFile.replace(/\.json$/, '.pub.json'), 'utf8');
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- our own file
  const { keyId, public: key } = JSON.parse(text) as { keyId: string; public: string };
  return { keys: new Map([[keyId, key]]), threshold: 1 };
}

export function counts(given: Partial<JobCounts>): JobCounts {
  const none = { pending: 0, open: 0, succeeded: 0, failed: 0, rejected: 0, canceled: 0 };
  return { targets: 0, rolledBack: 0, ...none, ...given };
}

export function wave(index: number, given: Partial<Wave>): Wave {
  return {
    index,
    kind: index === 0 ? 'canary' : 'percent',
    percent: index === 0 ? null : 100,
    state: 'scheduled',
    counts: counts({}),
    classes: {},
    startedAt: null,
    soakUntil: null,
    endedAt: null,
    compared: null,
    verdict: null,
    ...given,
  };
}

/** A rollout of 40 devices, 2 of them canaries. */
export function rollout(rolloutId: string, given: Partial<Rollout> = {}): Rollout {
  const now = new Date().toISOString();
  return rolloutSchema.parse({
    schema: 'edgefit/rollout/1',
    rolloutId,
    rev: 1,
    epoch: 1,
    state: 'running',
    spec: rolloutSpecSchema.parse({ model: { name: 'kws', version: '2.0.0' } }),
    createdAt: now,
    createdBy: 'otto',
    startedAt: now,
    endedAt: null,
    ts: now,
    reason: null,
    wave: 0,
    waves: [
      wave(0, {
        state: 'running',
        counts: counts({ targets: 2, open: 2 }),
        classes: { 'rpi-5': 2 },
      }),
      wave(1, {
        counts: counts({ targets: 38, pending: 38 }),
        classes: { 'rpi-5': 30, 'rpi-4b': 8 },
      }),
    ],
    counts: counts({ targets: 40, open: 2, pending: 38 }),
    offline: 3,
    left: [{ reason: 'run this version already', devices: 5, examples: ['sim-00001'] }],
    failures: [],
    ...given,
  });
}
