import { describe, expect, test } from '@jest/globals';
import { afresh, executionSchema } from '../../../agent/fleet/rollouts/execution.ts';
import { judgeFailures } from '../../../agent/fleet/rollouts/judge.ts';
import { NO_OTHERS } from '../../../agent/fleet/rollouts/others.ts';
import { makePlan } from '../../../agent/fleet/rollouts/plan.ts';
import { NEW_MEMO } from '../../../agent/fleet/rollouts/state.ts';
import { NO_JOBS } from '../../../agent/fleet/rollouts/tally.ts';
import { KEY, row, rows, spec, START_MS, Trial } from './support.ts';

/** The release before the one that is rolled out. */
const RUNS = {
  model: { name: 'kws', version: '1', precision: 'int8', digest: '', releaseCounter: 1 },
};

describe('a plan', () => {
  const fleet = [
    ...rows(90),
    ...Array.from({ length: 10 }, (_, at) => row(`jetson-${at}`, { class: 'jetson-nano' })),
  ];
  const input = { rolloutId: 'r1', rows: fleet, others: NO_OTHERS, keyId: KEY };
  const sizes = (waves: readonly number[], canaryPerClass: number) => {
    const { waves: planned, executions } = makePlan({
      ...input,
      spec: spec({ waves: [...waves], canaryPerClass }),
    });
    return planned.map((_, wave) => executions.filter((one) => one.wave === wave).length);
  };

  test('reaches the percentages, canaries included', () => {
    // 2 canaries; 10 of 100 are reached by 8 more, 50 by 40 more.
    expect(sizes([10, 50, 100], 1)).toEqual([2, 8, 40, 50]);
    expect(sizes([10, 50], 1)).toEqual([2, 8, 40]);
    // 1 % is less than the canaries: there is no such wave.
    expect(sizes([1, 100], 1)).toEqual([2, 98]);
    expect(sizes([100], 0)).toEqual([100]);
  });

  test('is the same for the same devices, in whatever order they are known', () => {
    const one = makePlan({ ...input, spec: spec({ canaryPerClass: 2, waves: [20, 100] }) });
    const two = makePlan({
      ...input,
      rows: fleet.toReversed(),
      spec: spec({ canaryPerClass: 2, waves: [20, 100] }),
    });
    expect(two).toEqual(one);
    const canaries = one.executions.filter(({ wave }) => wave === 0);
    expect(canaries.map((each) => each.class).toSorted()).toEqual([
      'jetson-nano',
      'jetson-nano',
      'rpi-5',
      'rpi-5',
    ]);
  });

  test('prefers canaries that are there', () => {
    const here = row('here');
    const away = rows(30, { state: 'offline' });
    const { executions } = makePlan({
      ...input,
      rows: [...away, here],
      spec: spec({ canaryPerClass: 1 }),
    });
    expect(executions[0]?.deviceId).toBe('here');
  });

  test.each([
    [{ cron: '0 25 * * *', durationMinutes: 60 }, 'window: "25" is no hour: use 0 to 23'],
    [{ cron: '0 2 * * *', durationMinutes: 60, timeZone: 'Mars/Base' }, 'is no time zone'],
  ])('refuses a window that never opens: %o', (window, why) => {
    const plan = () => makePlan({ ...input, rows: rows(1), spec: spec({ window }) });
    expect(plan).toThrow(expect.objectContaining({ code: 'bad_spec' }));
    expect(plan).toThrow(why);
  });

  test('says who is left out, and why', () => {
    const model = { name: 'kws', version: '2', precision: 'int8', digest: '', releaseCounter: 2 };
    const { left, executions } = makePlan({
      ...input,
      spec: spec(),
      rows: [
        row('a'),
        row('b', { model }),
        row('c', { jobTypes: ['bench'] }),
        row('d', { keyIds: ['other'] }),
        row('e', { cloned: true }),
        row('f', { model: { ...model, version: '1' } }),
        row('no-card', { class: '' }),
      ],
    });
    expect(executions.map(({ deviceId }) => deviceId).toSorted()).toEqual(['a', 'f']);
    expect(left).toEqual([
      { reason: 'already_installed', devices: 1, examples: ['b'] },
      { reason: 'cloned', devices: 1, examples: ['e'] },
      { reason: 'does_not_know_the_key', devices: 1, examples: ['d'] },
      { reason: 'takes_no_deploy_jobs', devices: 1, examples: ['c'] },
    ]);
  });

  test('refuses waves that fall, and a selection of nobody', () => {
    const falling = { ...input, spec: spec({ waves: [50, 10] }) };
    expect(() => makePlan(falling)).toThrow('waves: 50, 10 do not rise');
    const nobody = { ...input, spec: spec({ where: 'class=coral' }) };
    expect(() => makePlan(nobody)).toThrow('no device is in "class=coral"');
  });
});

describe('a rollout', () => {
  test('goes from wave to wave, and waits while a wave soaks', () => {
    const trial = new Trial(rows(4), { waves: [50, 100], soakSeconds: 60 });
    trial.step();
    expect([trial.record.state, trial.waves()]).toEqual(['running', ['running', 'scheduled']]);
    const first = trial.open();
    expect(first).toHaveLength(2);
    first.forEach((id) => trial.succeeds(id));
    trial.step();
    expect(trial.waves()).toEqual(['soaking', 'scheduled']);
    trial.step(59);
    expect(trial.open()).toEqual([]);
    trial.step(1);
    expect(trial.waves()).toEqual(['passed', 'running']);
    trial.open().forEach((id) => trial.succeeds(id));
    trial.step();
    trial.step(60);
    expect(trial.record).toMatchObject({ state: 'completed', counts: { succeeded: 4 } });
  });

  test('hands out no more jobs than the rate in any minute', () => {
    const trial = new Trial(rows(25), { ratePerMinute: 10 });
    const counts = Array.from({ length: 125 }, () => trial.step().issue.length);
    // The first second 10, sixty seconds later 10 more, then the last five.
    expect(counts.map((count, at) => [at, count]).filter(([, count]) => count !== 0)).toEqual([
      [0, 10],
      [60, 10],
      [120, 5],
    ]);
  });

  test.each([
    // [failures, of devices that have ended, limit, stops]
    [9, 20, { percent: 5, count: 10 }, false],
    [10, 200, { percent: 5, count: 10 }, true],
    [10, 300, { percent: 5, count: 10 }, false],
    [1, 3, { percent: 0, count: 1 }, true],
    [3, 100, { percent: 0, count: 3 }, true],
  ])('%i failures of %i with the limit %j', (failures, devices, maxFailed, stops) => {
    const trial = new Trial(rows(devices), { maxFailed });
    trial.step();
    trial.open().forEach((id, at) => {
      if (at < failures) trial.says(id, 'FAILED', { reason: { code: 'too_hot', text: 'hot' } });
      else trial.succeeds(id);
    });
    trial.step();
    expect(trial.record.state).toBe(stops ? 'paused' : 'completed');
  });

  test('does not take the first to end for all: failures come sooner than successes', () => {
    const trial = new Trial(rows(400));
    trial.step();
    const open = trial.open();
    open.slice(0, 19).forEach((id) => trial.says(id, 'FAILED'));
    trial.step();
    // 19 of 400 that have ended or are at work are 4.75 %.
    expect(trial.record.state).toBe('running');
    open.slice(19, 20).forEach((id) => trial.says(id, 'REJECTED'));
    trial.step();
    expect(trial.record.state).toBe('paused');
    expect(trial.record.waves[0]?.verdict).toBe('20 of 400 failed (5 %); the limit is 5 % and 10');
  });

  test.each([
    [1, 5000, 0.01, '1 of 5000 failed (0.02 %); the limit is 0.01 % and 1'],
    [1, 3000, 0.03, '1 of 3000 failed (0.0333 %); the limit is 0.03 % and 1'],
    [2, 7, 10, '2 of 7 failed (28.6 %); the limit is 10 % and 1'],
    [7, 7, 100, '7 of 7 failed (100 %); the limit is 100 % and 1'],
  ])(
    'tells the share of %i in %i also beside a limit of %f %%',
    (failed, devices, percent, text) => {
      const tally = {
        counts: { ...NO_JOBS, targets: devices, failed, open: devices - failed },
        classes: new Map(),
        busy: devices - failed,
        judged: { failed, ended: failed },
      };
      const limited = spec({ maxFailed: { percent, count: 1 } });
      expect(judgeFailures(tally, 'percent', limited, NEW_MEMO)).toBe(text);
    },
  );

  test('stops when none of a wave succeeded, though fewer failed than the limit counts', () => {
    const trial = new Trial(rows(8), { maxFailed: { percent: 5, count: 10 } });
    trial.step();
    for (const id of trial.open().slice(1)) trial.says(id, 'FAILED');
    trial.step();
    expect(trial.record.state).toBe('running');
    for (const id of trial.open()) trial.says(id, 'FAILED');
    trial.step();
    expect(trial.record.reason?.text).toBe('wave 1: none of 8 succeeded');
  });

  test('stops when every canary of a hardware class has failed', () => {
    const fleet = [...rows(20), row('j1', { class: 'jetson-nano' })];
    const trial = new Trial(fleet, { canaryPerClass: 1 });
    trial.step();
    for (const id of trial.open()) {
      if (id === 'j1') trial.says(id, 'FAILED', { outcome: 'rolled_back' });
      else trial.succeeds(id);
    }
    trial.step();
    expect(trial.record.reason).toEqual({
      code: 'wave_failed',
      text: 'wave 1: every canary of jetson-nano failed (1)',
    });
    // Who goes on in spite of it is not asked again.
    expect(trial.command('resume')).toBeNull();
    trial.step();
    expect(trial.waves()).toEqual(['passed', 'running']);
  });

  test('compares every device with itself: medians of p90, accuracy and temperature', () => {
    const trial = new Trial(
      [10, 20, 40].map((p90Ms, at) =>
        row(`d${at}`, { ...RUNS, p90Ms, celsius: 50, accuracy: { metric: 'top1', value: 0.9 } }),
      ),
      { compare: { maxP90Ratio: 1.5, maxAccuracyDrop: 0.02 } },
    );
    trial.step();
    // Ratios 1.2, 2 and 1; drops 0.01, 0.02 and 0; rises 5, 10 and 20.
    const after = (value: number) => ({ accuracy: { metric: 'top1', value } });
    trial.succeeds('d0', { p90Ms: 12, celsius: 55, ...after(0.89) });
    trial.succeeds('d1', { p90Ms: 40, celsius: 60, ...after(0.88) });
    trial.succeeds('d2', { p90Ms: 40, celsius: 70, ...after(0.9) });
    trial.step();
    const compared = trial.record.waves[0]?.compared;
    expect(compared).toMatchObject({ devices: 3, p90Ratio: 1.2, celsiusRise: 10 });
    expect(compared?.accuracyDrop).toBeCloseTo(0.01, 9);
    expect(trial.record.state).toBe('completed');
  });

  test('stops before the next wave when the median got too slow, and goes on when told to', () => {
    const trial = new Trial(rows(4, { ...RUNS, p90Ms: 10 }), { waves: [50, 100] });
    trial.step();
    trial.open().forEach((id) => trial.succeeds(id, { p90Ms: 16 }));
    trial.step();
    expect(trial.record).toMatchObject({ state: 'paused', reason: { code: 'wave_failed' } });
    const verdict = 'the median p90 is 1.6 times what it was; the limit is 1.5';
    expect(trial.record.waves[0]?.verdict).toBe(verdict);
    expect(trial.issued).toHaveLength(2);
    trial.command('resume');
    trial.step();
    expect(trial.waves()).toEqual(['passed', 'running']);
  });

  test('compares no model with another that ran there before', () => {
    const model = { ...RUNS.model, name: 'wake-word' };
    const fleet = rows(2, { model, p90Ms: 1, celsius: 50 });
    const trial = new Trial(fleet);
    trial.step();
    trial.open().forEach((id) => trial.succeeds(id, { p90Ms: 400, celsius: 52 }));
    trial.step();
    expect(trial.record).toMatchObject({
      state: 'completed',
      waves: [{ compared: { devices: 2, p90Ratio: null, accuracyDrop: null, celsiusRise: 2 } }],
    });
  });

  test('judges anew when it is resumed: what failed meanwhile counts first', () => {
    const trial = new Trial(rows(10), { maxFailed: { percent: 10, count: 2 } });
    trial.step();
    const open = trial.open();
    open.slice(0, 2).forEach((id) => trial.says(id, 'FAILED'));
    trial.step();
    expect(trial.record.state).toBe('paused');
    open.slice(2, 4).forEach((id) => trial.says(id, 'FAILED'));
    trial.step();
    expect(trial.command('resume')).toMatchObject({ code: 'thresholds' });
    expect(trial.record).toMatchObject({ state: 'paused', reason: { code: 'thresholds' } });
    expect(trial.command('resume')).toBeNull();
    expect(trial.record.state).toBe('running');
    open.slice(4).forEach((id) => trial.succeeds(id));
    trial.step();
    expect(trial.record).toMatchObject({ state: 'completed', counts: { failed: 4 } });
  });

  test('hands out nothing while paused, and hears what goes on', () => {
    const trial = new Trial(rows(4), { waves: [50, 100] });
    trial.step();
    trial.command('pause', 'lunch');
    trial.open().forEach((id) => trial.succeeds(id));
    trial.step(600);
    expect(trial.record).toMatchObject({
      state: 'paused',
      reason: { code: 'operator', text: 'lunch' },
      counts: { succeeded: 2, pending: 2 },
    });
    trial.command('resume');
    trial.step();
    expect(trial.waves()).toEqual(['passed', 'running']);
  });

  test('takes open jobs back on abort, and waits a while for their ends', () => {
    const trial = new Trial(rows(6), { waves: [50, 100], onFailed: 'abort' });
    trial.step();
    const [silent = '', working = '', done = ''] = trial.open();
    trial.says(working, 'IN_PROGRESS');
    trial.succeeds(done);
    trial.command('abort');
    expect(trial.record.counts).toMatchObject({ canceled: 3, open: 2, succeeded: 1 });
    expect(trial.cleared).toHaveLength(2);
    trial.step(60);
    expect(trial.executions.get(silent)?.state).toBe('canceled');
    expect(trial.executions.get(working)?.state).toBe('open');
    trial.says(working, 'CANCELED');
    trial.step();
    expect(trial.record.counts).toMatchObject({ canceled: 5, open: 0, succeeded: 1 });
    expect(trial.record.state).toBe('aborted');
  });

  test('undoes what succeeded when a wave fails and it was asked to', () => {
    const trial = new Trial(rows(4), {
      maxFailed: { percent: 1, count: 1 },
      onFailed: 'rollback',
    });
    trial.step();
    const [bad = '', ...good] = trial.open();
    good.forEach((id) => trial.succeeds(id));
    trial.says(bad, 'FAILED', { outcome: 'rolled_back' });
    trial.step();
    expect(trial.issued.filter(({ kind }) => kind === 'rollback')).toHaveLength(3);
    good.forEach((id) => trial.says(id, 'SUCCEEDED'));
    trial.step();
    expect(trial.record).toMatchObject({
      state: 'aborted',
      counts: { succeeded: 3, failed: 1, rolledBack: 4 },
    });
  });

  test('says where nothing could be undone, and why', () => {
    const trial = new Trial(rows(3));
    trial.step();
    trial.open().forEach((id) => trial.succeeds(id));
    trial.step();
    trial.command('rollback');
    trial.step();
    const reason = { code: 'no_previous', text: 'there is no version before' };
    trial.says('d0000', 'SUCCEEDED');
    trial.says('d0001', 'REJECTED', { reason });
    trial.says('d0002', 'FAILED', { reason });
    trial.step();
    expect(trial.record.counts).toMatchObject({ succeeded: 3, failed: 0, rolledBack: 1 });
    expect(trial.record.failures).toEqual([
      {
        code: 'no_previous',
        class: 'rpi-5',
        devices: 2,
        examples: expect.arrayContaining(['d0001', 'd0002']),
        text: 'not undone: there is no version before',
      },
    ]);
  });

  test('keeps failed ways back apart from failed deployments of the same reason', () => {
    const trial = new Trial(rows(4), { maxFailed: { percent: 100, count: 4 } });
    trial.step();
    const [bad = '', worse = '', undone = '', kept = ''] = trial.open();
    const reason = { code: 'phase_timeout', text: 'fitting took too long' };
    [bad, worse].forEach((id) => trial.says(id, 'FAILED', { reason }));
    [undone, kept].forEach((id) => trial.succeeds(id));
    trial.step();
    trial.command('rollback');
    trial.step();
    trial.says(undone, 'SUCCEEDED');
    trial.says(kept, 'FAILED', { reason: { ...reason, text: 'swapping took too long' } });
    trial.step();
    const kind = { code: 'phase_timeout', class: 'rpi-5' };
    expect(trial.record.failures).toEqual([
      {
        ...kind,
        devices: 2,
        examples: expect.arrayContaining([bad, worse]),
        text: 'fitting took too long',
      },
      { ...kind, devices: 1, examples: [kept], text: 'not undone: swapping took too long' },
    ]);
  });

  test('ends what nobody is heard of: five minutes after the job expired', () => {
    const trial = new Trial(rows(2), { jobSeconds: 600 });
    trial.step();
    const [silent = '', working = ''] = trial.open();
    trial.says(working, 'IN_PROGRESS');
    trial.step(600 + 299);
    expect(trial.open()).toHaveLength(2);
    trial.step(1);
    expect(trial.open()).toEqual([working]);
    expect(trial.executions.get(silent)?.reason?.code).toBe('no_answer');
    // Where a device is at work, its own limits end it; four hours are more than all of them.
    trial.step(4 * 3600);
    expect(trial.record).toMatchObject({ state: 'completed', counts: { failed: 2 } });
    // That it was taken back then is no news.
    trial.says(silent, 'CANCELED');
    trial.step();
    expect(trial.record.counts).toMatchObject({ failed: 2, canceled: 0 });
  });

  test('undoes what a job has brought that was given up and came to a good end later', () => {
    const trial = new Trial(rows(4), { jobSeconds: 600 });
    trial.step();
    const [told = '', unheard = '', canceled = '', lost = ''] = trial.open();
    trial.step(600 + 300);
    expect(trial.record).toMatchObject({ state: 'completed', counts: { failed: 4 } });
    trial.says(told, 'SUCCEEDED');
    trial.says(canceled, 'CANCELED');
    // Of this one the record is gone; its twin says what runs.
    const model = { name: 'kws', version: '2', precision: 'int8', digest: '', releaseCounter: 2 };
    trial.fleet.set(unheard, row(unheard, { model }));
    // Another release of the same version is not what this rollout has brought.
    trial.fleet.set(lost, row(lost, { model: { ...model, releaseCounter: 1 } }));
    trial.step();
    expect(trial.record.counts).toMatchObject({ succeeded: 2, failed: 2 });
    trial.command('rollback');
    trial.step();
    const back = trial.issued.filter(({ kind }) => kind === 'rollback');
    expect(back.map(({ deviceId }) => deviceId).toSorted()).toEqual([told, unheard].toSorted());
  });

  test('undoes it also when the rollout is being undone already', () => {
    const trial = new Trial(rows(2), { jobSeconds: 600 });
    trial.step();
    const [one = '', other = ''] = trial.open();
    trial.succeeds(one);
    trial.command('rollback');
    trial.step(1);
    trial.says(one, 'SUCCEEDED');
    trial.step(61);
    expect(trial.executions.get(other)?.state).toBe('canceled');
    trial.says(other, 'SUCCEEDED');
    trial.step();
    expect(trial.issued.at(-1)).toMatchObject({ deviceId: other, kind: 'rollback' });
  });

  test('does not take devices that were off all the time for failures of the release', () => {
    const away = { state: 'offline', lastSeenMs: null } as const;
    const off = Array.from({ length: 20 }, (_, at) => row(`off-${at}`, away));
    const trial = new Trial([...rows(80), ...off], { jobSeconds: 600, onFailed: 'rollback' });
    trial.step();
    const open = trial.open();
    open.filter((id) => id.startsWith('d')).forEach((id) => trial.succeeds(id));
    trial.step();
    trial.step(900);
    expect(trial.record).toMatchObject({
      state: 'completed',
      counts: { succeeded: 80, failed: 20, rolledBack: 0 },
      failures: [{ code: 'no_answer', devices: 20 }],
    });
  });

  test('takes devices that fell silent at work for failures', () => {
    const trial = new Trial(rows(20), { jobSeconds: 600, maxFailed: { percent: 5, count: 10 } });
    trial.step();
    const open = trial.open();
    open.slice(0, 10).forEach((id) => trial.says(id, 'IN_PROGRESS'));
    open.slice(10).forEach((id) => trial.succeeds(id));
    trial.step(5 * 3600);
    expect(trial.record.reason?.text).toContain('10 of 20 failed (50 %)');
  });

  test('takes devices for failures that fell silent before their jobs were given again', () => {
    const trial = new Trial(rows(4), { jobSeconds: 600, maxFailed: { percent: 10, count: 2 } });
    trial.step();
    const [good = '', ...dead] = trial.open();
    dead.forEach((id) => trial.says(id, 'IN_PROGRESS'));
    // Twice, as after two new connections, and read from the store in between.
    for (let time = 0; time < 2; time += 1) {
      for (const [id, execution] of trial.executions) {
        const kept: unknown = JSON.parse(JSON.stringify(afresh(execution)));
        trial.executions.set(id, executionSchema.parse(kept));
      }
    }
    trial.succeeds(good);
    trial.step(900);
    expect(trial.record.counts).toMatchObject({ succeeded: 1, failed: 3 });
    expect(trial.record.reason?.text).toBe('wave 1: 3 of 4 failed (75 %); the limit is 10 % and 2');
  });

  test('does not wait for devices that are away, and hears them when they come', () => {
    const trial = new Trial([...rows(3), row('away', { state: 'offline', lastSeenMs: null })], {
      waves: [100],
    });
    trial.step();
    ['d0000', 'd0001', 'd0002'].forEach((id) => trial.succeeds(id));
    trial.step();
    expect([trial.record.state, trial.waves()]).toEqual(['running', ['passed']]);
    expect(trial.record.offline).toBe(1);
    trial.succeeds('away');
    trial.step();
    expect(trial.record).toMatchObject({ state: 'completed', counts: { succeeded: 4 } });
  });

  test('waits no longer for a device that is shut out, and gives it nothing', () => {
    const trial = new Trial(rows(4), { waves: [50, 100] });
    trial.step();
    const [open = '', other = ''] = trial.open();
    const pending = [...trial.executions.values()].find(({ state }) => state === 'pending');
    trial.revoked.add(open).add(pending?.deviceId ?? '');
    trial.succeeds(other);
    trial.step();
    expect(trial.waves()).toEqual(['passed', 'running']);
    expect(trial.issued).toHaveLength(3);
    expect(trial.record.counts).toMatchObject({ canceled: 2, succeeded: 1, open: 1 });
  });

  test('waits for a canary that is away: nobody else has tried its class', () => {
    const trial = new Trial([...rows(3), row('j', { class: 'jetson', state: 'offline' })], {
      canaryPerClass: 1,
    });
    trial.step();
    trial.open().forEach((id) => id !== 'j' && trial.succeeds(id));
    trial.step(3600);
    expect(trial.waves()).toEqual(['running', 'scheduled']);
  });

  test('waits for no canary that was shut out', () => {
    const fleet = [...rows(3), row('j1', { class: 'jetson' }), row('j2', { class: 'jetson' })];
    const trial = new Trial(fleet, { canaryPerClass: 1 });
    trial.step();
    const canary = trial.open().find((id) => id.startsWith('j')) ?? '';
    trial.revoked.add(canary);
    trial.open().forEach((id) => id !== canary && trial.succeeds(id));
    trial.step();
    expect(trial.waves()).toEqual(['passed', 'running']);
  });

  test('does not go back from a later release: that would bring this one back', () => {
    const trial = new Trial(rows(3));
    trial.step();
    trial.open().forEach((id) => trial.succeeds(id));
    trial.step();
    const later = { name: 'kws', version: '3', precision: 'int8', digest: '', releaseCounter: 3 };
    trial.fleet.set('d0001', row('d0001', { model: later }));
    trial.command('rollback');
    trial.step();
    const back = trial.issued.filter(({ kind }) => kind === 'rollback');
    expect(back.map(({ deviceId }) => deviceId).toSorted()).toEqual(['d0000', 'd0002']);
    expect(trial.executions.get('d0001')?.back).toMatchObject({
      state: 'canceled',
      reason: { code: 'replaced' },
    });
  });

  test('goes on when the clock is set back: with the rate, a soak and late joiners', () => {
    const trial = new Trial(rows(20), { ratePerMinute: 10, waves: [50, 100], soakSeconds: 60 });
    trial.step();
    expect(trial.open()).toHaveLength(10);
    trial.open().forEach((id) => trial.succeeds(id));
    trial.step();
    expect(trial.waves()).toEqual(['soaking', 'scheduled']);
    trial.nowMs -= 86_400_000;
    trial.fleet.set('late', row('late'));
    trial.step();
    trial.step(59);
    expect(trial.waves()).toEqual(['soaking', 'scheduled']);
    trial.step(1);
    expect(trial.waves()).toEqual(['passed', 'running']);
    trial.step(1);
    expect(trial.open()).toHaveLength(10);
    expect(trial.record.counts.targets).toBe(21);
  });

  test('keeps to the rate when the clock is set back', () => {
    const trial = new Trial(rows(20), { ratePerMinute: 10 });
    trial.step();
    trial.nowMs -= 86_400_000;
    const counts = Array.from({ length: 62 }, () => trial.step().issue.length);
    expect(counts.map((count, at) => [at, count]).filter(([, count]) => count !== 0)).toEqual([
      [60, 10],
    ]);
  });

  test('takes devices that appear later into the last wave', () => {
    const trial = new Trial(rows(4), { waves: [50, 100], where: 'class=rpi-5' });
    trial.step();
    trial.fleet.set('late', row('late'));
    trial.fleet.set('other', row('other', { class: 'rpi-4b' }));
    trial.step(10);
    expect(trial.executions.get('late')?.wave).toBe(1);
    expect(trial.executions.has('other')).toBe(false);
    expect(trial.record.counts.targets).toBe(5);
  });

  test('keeps frozen who was chosen: no late joiners where they are not wanted', () => {
    const trial = new Trial(rows(4), { waves: [50, 100], lateJoiners: false });
    trial.fleet.set('late', row('late'));
    trial.step(60);
    expect(trial.record.counts.targets).toBe(4);
  });

  test('refuses commands that make no sense now', () => {
    const trial = new Trial(rows(1));
    trial.step();
    expect(() => trial.command('approve')).toThrow('r1 is running: approve is for one that is');
    expect(() => trial.command('resume')).toThrow('r1 is running');
    trial.succeeds('d0000');
    trial.step();
    expect(() => trial.command('abort')).toThrow('r1 is completed');
    expect(START_MS).toBeLessThan(trial.nowMs);
  });
});
