import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { makePlan } from '../../../agent/fleet/rollouts/plan.ts';
import { KEY, row, rows, spec, Trial } from './support.ts';

const V2 = { name: 'kws', version: '2', releaseCounter: 2 };
const V3 = { name: 'kws', version: '3', releaseCounter: 3 };

const second = (beside: Trial, part: ConstructorParameters<typeof Trial>[1] = {}) =>
  new Trial([], { model: V3, ...part }, { rolloutId: 'r2', beside });
const targets = (trial: Trial) => [...trial.executions.keys()].toSorted();

describe('two rollouts of a model', () => {
  test('share no device: who takes part in an open one is left out, and told with its id', () => {
    const first = new Trial(rows(3));
    first.fleet.set('free', row('free'));
    const { record, executions } = second(first);
    expect([...executions.keys()]).toEqual(['free']);
    expect(record.left).toEqual([
      {
        reason: 'in_another_rollout',
        rollout: 'r1',
        devices: 3,
        examples: ['d0000', 'd0001', 'd0002'],
      },
    ]);
  });

  test('refuses one that would have no device at all, and says what to do', () => {
    const first = new Trial(rows(3));
    expect(() => second(first)).toThrow(
      'no device of the fleet is left: 3 in another rollout (r1); abort that one, wait for its end, or select others (where)',
    );
    // Of another model there may be as many as anybody wants.
    const other = { name: 'vad', version: '1', releaseCounter: 1 };
    expect(second(first, { model: other }).executions.size).toBe(3);
  });

  test('keeps devices that are done until the rollout ends: it may have to undo them', () => {
    const first = new Trial(rows(2), { waves: [50, 100], soakSeconds: 600 });
    first.step();
    first.open().forEach((id) => first.succeeds(id));
    first.step();
    expect(first.waves()).toEqual(['soaking', 'scheduled']);
    expect(() => second(first)).toThrow('2 in another rollout (r1)');
    first.command('abort');
    expect(targets(second(first))).toEqual(['d0000', 'd0001']);
  });

  test('waits for a job that is being taken back, and takes the device then', () => {
    const first = new Trial(rows(2));
    first.step();
    first.says('d0000', 'IN_PROGRESS');
    first.succeeds('d0001');
    first.command('abort');
    const next = second(first);
    expect(targets(next)).toEqual(['d0001']);
    next.step();
    next.step(10);
    expect(targets(next)).toEqual(['d0001']);
    first.says('d0000', 'CANCELED');
    next.step(10);
    expect(targets(next)).toEqual(['d0000', 'd0001']);
    expect(next.open()).toContain('d0000');
  });

  test('gives a device that appears to one of them', () => {
    const first = new Trial(rows(1));
    first.fleet.set('free', row('free', { class: 'jetson-nano' }));
    const next = second(first);
    first.step();
    next.step();
    first.fleet.set('late', row('late'));
    first.step(10);
    next.step(10);
    expect([targets(first), targets(next)]).toEqual([['d0000', 'late'], ['free']]);
  });

  test('does not take a device back to an older release that another has brought it past', () => {
    const newer = new Trial(rows(1), { model: V3 });
    newer.fleet.set('free', row('free'));
    const older = new Trial([], { model: V2 }, { rolloutId: 'r2', beside: newer });
    newer.step();
    newer.succeeds('d0000');
    newer.step();
    expect(newer.record.state).toBe('completed');
    older.step();
    older.step(10);
    expect(targets(older)).toEqual(['free']);
  });

  test('hands out no job beside one that is open, whichever of them undoes something', () => {
    const first = new Trial(rows(2));
    first.step();
    first.open().forEach((id) => first.succeeds(id));
    first.step();
    const next = second(first, { ratePerMinute: 1 });
    next.step();
    const [busy = ''] = next.open();
    const other = busy === 'd0000' ? 'd0001' : 'd0000';
    // The one that has ended is undone while the next is at work.
    first.command('rollback');
    const undone = () => first.issued.filter(({ kind }) => kind === 'rollback');
    first.step();
    expect(undone().map(({ deviceId }) => deviceId)).toEqual([other]);
    next.step(60);
    expect(next.open()).toEqual([busy]);
    first.says(other, 'SUCCEEDED');
    next.step();
    expect(next.open().toSorted()).toEqual(['d0000', 'd0001']);
    next.succeeds(busy);
    first.step();
    // The later release runs there by now: it is left alone.
    expect(first.executions.get(busy)?.back).toMatchObject({ state: 'canceled' });
    expect(undone()).toHaveLength(1);
  });

  test('does not undo what the next one has brought to a device that was given up', () => {
    const first = new Trial(rows(2));
    first.step();
    first.succeeds('d0001');
    first.command('rollback');
    first.step(61);
    expect(first.executions.get('d0000')).toMatchObject({ state: 'canceled' });
    const next = second(first, { model: V2 });
    expect(targets(next)).toEqual(['d0000']);
    first.step();
    next.step();
    next.succeeds('d0000');
    next.step();
    expect(next.record.state).toBe('completed');
    first.step();
    expect(first.executions.get('d0000')).toMatchObject({ state: 'canceled', back: null });
    expect(first.issued.filter(({ kind }) => kind === 'rollback')).toMatchObject([
      { deviceId: 'd0001' },
    ]);
  });

  test('names ten of many, and counts the devices of the others together', () => {
    const holder = (id: string) => `r${Number(id.slice(1))}`;
    const all = [...rows(14), row('free')];
    const others = { holder: (id: string) => (id === 'free' ? null : holder(id)) };
    const { left } = makePlan({ rolloutId: 'new', spec: spec(), rows: all, others, keyId: KEY });
    expect(left).toHaveLength(11);
    expect(left.find(({ rollout }) => rollout === undefined)).toMatchObject({ devices: 4 });
  });
});

const COMMANDS = ['pause', 'resume', 'abort', 'rollback'] as const;
const move = fc.record({
  second: fc.boolean(),
  seconds: fc.nat(30),
  command: fc.option(fc.constantFrom(...COMMANDS), { freq: 6 }),
  end: fc.option(fc.constantFrom('SUCCEEDED', 'FAILED', 'CANCELED'), { freq: 2 }),
  late: fc.option(fc.nat(6), { freq: 4 }),
});

test('whatever happens, no device has open jobs of two rollouts of a model', () => {
  fc.assert(
    fc.property(fc.array(move, { maxLength: 60 }), (moves) => {
      const first = new Trial(rows(4), { waves: [50, 100], onFailed: 'rollback' });
      first.fleet.set('free', row('free'));
      const both = [first, second(first, { waves: [50, 100] })];
      for (const one of moves) {
        const trial = both[one.second ? 1 : 0] ?? first;
        if (one.late !== null) first.fleet.set(`late-${one.late}`, row(`late-${one.late}`));
        try {
          if (one.command !== null) trial.command(one.command);
        } catch {
          // It made no sense in this state, and has changed nothing.
        }
        const [busy] = openIn(trial);
        if (busy !== undefined && one.end !== null) {
          const isUndone = trial.executions.get(busy)?.back !== null;
          if (one.end === 'SUCCEEDED' && !isUndone) trial.succeeds(busy);
          else trial.says(busy, one.end);
        }
        trial.step(one.seconds);
        const [a, b] = both.map(openIn);
        expect(a?.filter((id) => b?.includes(id))).toEqual([]);
      }
    }),
    { numRuns: 300 },
  );
});

const openIn = ({ executions }: Trial) =>
  [...executions.values()]
    .filter(({ state, back }) => state === 'open' || back?.state === 'open')
    .map(({ deviceId }) => deviceId);

describe('late joiners', () => {
  test.each([
    ['canaries', { canaryPerClass: 1, waves: [10, 100] }],
    ['an earlier wave', { canaryPerClass: 0, waves: [90, 100] }],
  ])('come also where %s were everybody there was', (_, part) => {
    const trial = new Trial(rows(1), { ...part, soakSeconds: 60 });
    expect(trial.waves()).toEqual(['scheduled']);
    trial.step();
    trial.fleet.set('late', row('late'));
    trial.step(10);
    expect(trial.record.waves.map(({ percent, counts }) => [percent, counts.targets])).toEqual([
      [part.canaryPerClass === 1 ? null : 90, 1],
      [100, 1],
    ]);
    trial.succeeds('d0000');
    trial.step();
    trial.fleet.set('later', row('later'));
    trial.step(60);
    expect(trial.open().toSorted()).toEqual(['late', 'later']);
    trial.open().forEach((id) => trial.succeeds(id));
    trial.step();
    trial.step(60);
    expect(trial.record).toMatchObject({ state: 'completed', counts: { succeeded: 3 } });
  });

  test('do not come where the waves do not go to everybody', () => {
    const trial = new Trial(rows(2), { canaryPerClass: 2, waves: [50] });
    trial.step();
    trial.fleet.set('late', row('late'));
    trial.step(10);
    expect(targets(trial)).toEqual(['d0000', 'd0001']);
  });
});
