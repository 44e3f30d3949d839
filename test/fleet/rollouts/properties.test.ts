import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { rolloutSchema } from '../../../agent/contracts/rollout.ts';
import { MAX_PAYLOAD_BYTES } from '../../../agent/fleet/protocol/outgoing.ts';
import { hasEnded } from '../../../agent/fleet/rollouts/state.ts';
import { row, rows, Trial } from './support.ts';

type Move =
  | { readonly kind: 'step'; readonly seconds: number }
  | { readonly kind: 'end'; readonly pick: number; readonly status: (typeof ENDS)[number] }
  | { readonly kind: 'command'; readonly name: (typeof COMMANDS)[number] }
  | { readonly kind: 'appear'; readonly id: number };

const ENDS = ['SUCCEEDED', 'FAILED', 'REJECTED', 'TIMED_OUT', 'CANCELED', 'IN_PROGRESS'] as const;
const COMMANDS = ['pause', 'resume', 'abort', 'rollback'] as const;

const move: fc.Arbitrary<Move> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('step'), seconds: fc.nat(90) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('end'),
      pick: fc.nat(),
      status: fc.constantFrom(...ENDS),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('command'), name: fc.constantFrom(...COMMANDS) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('appear'), id: fc.nat(20) }) },
) as fc.Arbitrary<Move>;

const world = fc.record({
  devices: fc.integer({ min: 1, max: 25 }),
  canaryPerClass: fc.nat(2),
  waves: fc.constantFrom<number[]>([100], [10, 100], [1, 30, 60]),
  ratePerMinute: fc.integer({ min: 1, max: 12 }),
  onFailed: fc.constantFrom('pause', 'abort', 'rollback'),
  moves: fc.array(move, { maxLength: 60 }),
});

/** What must hold after every move. */
function expectSound(trial: Trial): void {
  const { counts, waves } = trial.record;
  for (const each of [counts, ...waves.map((wave) => wave.counts)]) {
    const { pending, open, succeeded, failed, rejected, canceled } = each;
    expect(pending + open + succeeded + failed + rejected + canceled).toBe(each.targets);
  }
  const sum = waves.reduce((total, wave) => total + wave.counts.targets, 0);
  expect(sum).toBe(counts.targets);
  expect(trial.executions.size).toBe(counts.targets);
}

function play(trial: Trial, one: Move): number {
  const before = trial.issued.length;
  switch (one.kind) {
    case 'step':
      trial.step(one.seconds);
      break;
    case 'end': {
      const all = [...trial.executions.values()].filter(
        ({ state, back }) => state === 'open' || back?.state === 'open',
      );
      const chosen = all[one.pick % Math.max(1, all.length)];
      if (chosen === undefined) break;
      if (one.status === 'SUCCEEDED' && chosen.back === null) trial.succeeds(chosen.deviceId);
      else trial.says(chosen.deviceId, one.status);
      trial.step(0);
      break;
    }
    case 'command':
      try {
        trial.command(one.name);
      } catch {
        // It made no sense in this state, and has changed nothing.
      }
      break;
    case 'appear':
      trial.fleet.set(`late-${one.id}`, row(`late-${one.id}`, { class: 'rpi-4b' }));
      break;
    default:
      one satisfies never;
  }
  return trial.issued.length - before;
}

test('whatever happens, counts add up, nobody has two jobs, the rate holds and an end is an end', () => {
  fc.assert(
    fc.property(world, ({ devices, moves, onFailed, ...part }) => {
      const trial = new Trial(
        rows(devices).map((each, at) => ({ ...each, class: at % 3 === 0 ? 'rpi-4b' : 'rpi-5' })),
        {
          ...part,
          waves: [...part.waves],
          onFailed: onFailed as 'pause',
          maxFailed: { percent: 20, count: 2 },
        },
      );
      const handedOut: { atMs: number; count: number }[] = [];
      const ended = new Map<string, string>();
      for (const one of moves) {
        const wasOver = hasEnded(trial.record);
        const count = play(trial, one);
        handedOut.push({ atMs: trial.nowMs, count });
        expectSound(trial);
        const inMinute = handedOut.filter(({ atMs }) => trial.nowMs - atMs < 60_000);
        const total = inMinute.reduce((sum, each) => sum + each.count, 0);
        expect(total).toBeLessThanOrEqual(part.ratePerMinute);
        expect(hasEnded(trial.record) || !wasOver).toBe(true);
        for (const { deviceId, state } of trial.executions.values()) {
          const before = ended.get(deviceId);
          expect(state).toBe(before ?? state);
          if (state !== 'pending' && state !== 'open') ended.set(deviceId, state);
        }
      }
      const jobs = trial.issued.map(({ jobId }) => jobId);
      expect(new Set(jobs).size).toBe(jobs.length);
    }),
    { numRuns: 300 },
  );
});

test('the record stays a message, whatever the fleet', () => {
  const long = (at: number) => `${String(at).padStart(4, '0')}${'x'.repeat(60)}`;
  const fleet = Array.from({ length: 3000 }, (_, at) =>
    row(long(at), { class: long(at % 200), lastSeenMs: null }),
  );
  const waves = Array.from({ length: 50 }, (_, at) => (at + 1) * 2);
  const where = `id!="${'y'.repeat(1900)}"`;
  const trial = new Trial(fleet, {
    waves,
    where,
    canaryPerClass: 1,
    ratePerMinute: 60_000,
    maxFailed: { percent: 100, count: 5000 },
  });
  for (let turn = 0; turn < 60; turn += 1) {
    trial.step();
    trial.open().forEach((id, at) => {
      const reason = { code: long(at % 300), text: '"'.repeat(2000) };
      if (at % 2 === 0) trial.succeeds(id);
      else trial.says(id, 'FAILED', { reason });
    });
  }
  const text = JSON.stringify(trial.record);
  expect(trial.record.failures.length).toBeGreaterThan(10);
  expect(Buffer.byteLength(text)).toBeLessThan(MAX_PAYLOAD_BYTES);
  expect(rolloutSchema.safeParse(JSON.parse(text)).success).toBe(true);
});
