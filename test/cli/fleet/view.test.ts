import { describe, expect, test } from '@jest/globals';
import {
  bar,
  renderPlan,
  renderRollout,
  renderRollouts,
  rolloutLine,
} from '../../../agent/cli/fleet/rollout-view.ts';
import { cutLine, openScreen } from '../../../agent/cli/screen.ts';
import { counts, rollout, wave } from '../../fleet/operator/rollout-fixture.ts';

const OPTIONS = { width: 80, color: false, nowMs: Date.parse('2026-03-01T12:10:00.000Z') };

describe('a bar', () => {
  const of = (part: Parameters<typeof counts>[0]) => bar(wave({ counts: counts(part) }), 10);

  test.each([
    [{ targets: 10, succeeded: 4, failed: 1, open: 2, pending: 3 }, '####x--...'],
    [{ targets: 1000, succeeded: 1, failed: 1, pending: 998 }, '#x........'],
    [{ targets: 3, succeeded: 3 }, '##########'],
    [{ targets: 3, succeeded: 2, failed: 1 }, '######xxxx'],
    [{ targets: 0 }, '..........'],
  ])('%o', (part, expected) => {
    expect(of(part)).toBe(expected);
  });
});

test('a rollout under way', () => {
  const canary = wave({
    state: 'soaking',
    soakUntil: '2026-03-01T12:30:00.000Z',
    counts: counts({ targets: 2, succeeded: 1, failed: 1 }),
    compared: { devices: 2, p90Ratio: 0.98, accuracyDrop: 0.002, celsiusRise: 1.5 },
  });
  const [, next] = rollout().waves;
  const text = renderRollout(
    rollout({
      waves: [canary, ...(next === undefined ? [] : [next])],
      counts: counts({ targets: 20, pending: 18, succeeded: 1, failed: 1 }),
      failures: [
        {
          code: 'gate_missed',
          class: 'rpi-4b',
          devices: 1,
          examples: ['pi-4'],
          text: 'p90 12 ms, limit 10 ms',
        },
      ],
      left: [
        { reason: 'in_another_rollout', rollout: 'r-9', devices: 1, examples: ['c'] },
        { reason: 'old_agent', devices: 7, examples: ['a', 'b'] },
      ],
    }),
    OPTIONS,
  );
  expect(text).toEqual([
    'r1: kws 2.1.0, running',
    '  2 of 20 devices have ended, 1 failed, 3 offline, for 10 min',
    '  all devices',
    '',
    '> canary   [############xxxxxxxxxxxx]       2/2 soaking, 1 failed, 20 min left',
    '           median of 2: p90 x0.98, accuracy -0.2 points, +1.5 °C',
    '  to 100 % [........................]      0/18 scheduled',
    '',
    'Failures',
    '     1  gate_missed on rpi-4b: pi-4',
    '        p90 12 ms, limit 10 ms',
    '',
    'Left out',
    '     1  in_another_rollout r-9: c',
    '     7  old_agent: a, b, ...',
  ]);
  expect(text.every((line) => line.length <= 80)).toBe(true);
});

test('a plan by class and wave', () => {
  const text = renderPlan(
    rollout({ left: [{ reason: 'no card', devices: 1, examples: ['x'] }] }),
    OPTIONS,
  );
  expect(text).toEqual([
    'kws 2.1.0 to 20 devices, 3 offline',
    '30 min between waves; pause at 5 % and 10 failed',
    '',
    'class                  canary to 100 %      all',
    'rpi-4b                      1        6        7',
    'rpi-5                       1       12       13',
    '                            2       18       20',
    '',
    'Left out',
    '     1  no card: x',
  ]);
});

test('a plan of many waves stands in tables that fit', () => {
  const waves = Array.from({ length: 12 }, (_, index) =>
    wave({ index, kind: 'percent', percent: index + 1 }),
  );
  const text = renderPlan(rollout({ waves }), OPTIONS);
  expect(Math.max(...text.map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(text.join('\n')).toContain('to 12 %');
});

test('lines for a log, and the list', () => {
  const paused = rollout({ state: 'paused', reason: { code: 'failures', text: '2 of 4 failed' } });
  expect(rolloutLine(paused)).toBe(
    '2026-03-01T12:00:05.000Z paused canary running 1/2, 1/20 ended, 0 failed: 2 of 4 failed',
  );
  const list = renderRollouts([rollout({ rolloutId: 'a-very-long-name-of-a-rollout' })], OPTIONS);
  expect(list).toEqual([
    'rollout                release          state         ended failed created',
    'a-very-long-name-of-a~ kws 2.1.0        running        1/20      0 03-01 11:59',
  ]);
});

describe('a screen', () => {
  test('draws over what was there, cut to the terminal, and leaves it in order', () => {
    let text = '';
    const stream = { write: (part: string) => (text += part), columns: 10, rows: 4 };
    const screen = openScreen(stream, { isFull: false, onResize: () => undefined });
    screen.draw(['0123456789abc', 'two']);
    screen.draw(['1', '2', '3', '4', '5']);
    screen.close();
    const visible = text.replaceAll('\u001B', '^');
    expect(visible).toBe(
      '^[?25l0123456789^[K\ntwo^[K\n^[J^[2A\r1^[K\n2^[K\n... and 3 ^[K\n^[J^[?25h',
    );
  });

  test('colours take no room', () => {
    expect(cutLine('\u001B[31mabcdef\u001B[0m', 3)).toBe('\u001B[31mabc\u001B[0m');
    expect(cutLine('\u001B[31mabc\u001B[0m', 3)).toBe('\u001B[31mabc\u001B[0m');
    expect(cutLine('abc', 10)).toBe('abc');
  });
});
