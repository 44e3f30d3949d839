import { describe, expect, test } from '@jest/globals';
import { fleetSummary, fleetTable, sortRows } from '../../../agent/cli/fleet/columns.ts';
import { medianOf, sampleOf } from '../../../agent/cli/fleet/sample.ts';
import { wait } from '../../../agent/cli/fleet/wait-text.ts';
import { renderWatch, sampleLine } from '../../../agent/cli/fleet/watch-view.ts';
import { marksFor, sparkline } from '../../../agent/cli/sparkline.ts';
import { fleetSampleSchema } from '../../../agent/contracts/fleet-list.ts';
import { emptyRow, type DeviceRow } from '../../../agent/fleet/roster/row.ts';

const NOW = Date.parse('2026-03-01T12:00:00.000Z');

const model = { name: 'kws', version: '2.1.0', precision: 'int8', digest: 'd', releaseCounter: 7 };

const row = (deviceId: string, part: Partial<DeviceRow> = {}): DeviceRow => ({
  ...emptyRow(deviceId),
  state: 'online',
  class: 'rpi-5',
  lastSeenMs: NOW - 42_000,
  model,
  p90Ms: 8.234,
  celsius: 51.4,
  ...part,
});

const job = { jobId: 'j1', jobType: 'deploy', phase: 'fitting', status: 'IN_PROGRESS' } as const;

describe('the table of a fleet', () => {
  const rows = [
    row('pi-7', { job }),
    row('edgefit-0123456789ab', {
      state: 'offline',
      class: 'generic-x86-64',
      model: null,
      p90Ms: null,
      celsius: null,
      lastSeenMs: null,
      job: { ...job, status: 'TIMED_OUT' },
    }),
    row('pi-8', { cloned: true, p90Ms: 1234.5 }),
  ];

  test('fits into 80 columns', () => {
    expect(fleetTable(rows, { width: 80, color: false, nowMs: NOW })).toEqual([
      'device          state    class       model        prec p90 ms  °C seen job',
      'pi-7            online   rpi-5       kws 2.1.0    int8   8.23  51  42s fitting',
      'edgefit-012345~ offline  generic-x8~ -            -         -   -    - timed out',
      'pi-8            cloned   rpi-5       kws 2.1.0    int8   1235  51  42s -',
    ]);
  });

  test('shows more where there is room, and never runs over', () => {
    const wide = fleetTable(rows, { width: 100, color: false, nowMs: NOW });
    expect(wide[2]).toContain('edgefit-0123456789ab offline  generic-x86-64');
    for (const width of [80, 81, 90, 100, 200]) {
      const lines = fleetTable(rows, { width, color: false, nowMs: NOW });
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width);
    }
  });

  test('control characters of a device do not reach the terminal', () => {
    const evil = row('pi-9', { class: 'a\u001B[2Jb' });
    expect(fleetTable([evil], { width: 80, color: false, nowMs: NOW }).join('')).not.toContain(
      '\u001B',
    );
  });

  test('is summed up and sorted; what has no value comes last', () => {
    expect(fleetSummary(rows)).toBe('3 devices: 1 online, 1 offline, 1 cloned');
    expect(fleetSummary([])).toBe('no devices');
    const ids = (key: Parameters<typeof sortRows>[1], down: boolean) =>
      sortRows(rows, key, down).map(({ deviceId }) => deviceId.slice(0, 4));
    expect(ids('device', false)).toEqual(['edge', 'pi-7', 'pi-8']);
    expect(ids('p90', false)).toEqual(['pi-7', 'pi-8', 'edge']);
    expect(ids('p90', true)).toEqual(['pi-8', 'pi-7', 'edge']);
    const numbered = sortRows([row('pi-10'), row('pi-9')], 'device', false);
    expect(numbered.map(({ deviceId }) => deviceId)).toEqual(['pi-9', 'pi-10']);
  });
});

test.each([
  [null, '-'],
  [NOW, 'now'],
  [NOW - 59_000, '59s'],
  [NOW - 7 * 60_000, '7m'],
  [NOW - 3 * 3_600_000, '3h'],
  [NOW - 12 * 86_400_000, '12d'],
  [NOW + 5000, 'now'],
])('seen %p: %s', (ms, text) => {
  expect(wait(ms, NOW)).toBe(text);
});

describe('a sparkline', () => {
  const marks = marksFor({ LANG: 'en_GB.UTF-8' });

  test('goes from the lowest to the highest', () => {
    expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8, marks)).toBe('▁▂▃▄▅▆▇█');
    expect(sparkline([5, null, 7], 5, marks)).toBe('  ▁ █');
    expect(sparkline([1, 2, 3, 4], 2, marks)).toBe('▁█');
    expect(sparkline([3, 3], 2, marks)).toBe('▅▅');
    expect(sparkline([], 3, marks)).toBe('   ');
  });

  test('is plain where the terminal has no blocks', () => {
    expect(sparkline([0, 7], 2, marksFor({ LANG: 'C' }))).toBe('_#');
  });
});

describe('a fleet in figures', () => {
  const rows = [
    row('a', { celsius: 50, p90Ms: 8, job }),
    row('b', { celsius: 70, p90Ms: 12, throttled: true }),
    row('c', { state: 'offline', celsius: 99, p90Ms: 10, model: { ...model, precision: 'fp16' } }),
  ];
  const sample = sampleOf(rows, { messages: 40, telemetry: 30, seconds: 10 }, true, NOW);

  test('counts and medians', () => {
    expect(fleetSampleSchema.parse(sample)).toMatchObject({
      devices: 3,
      states: { online: 2, offline: 1 },
      precisions: { int8: 2, fp16: 1 },
      celsius: { devices: 2, median: 60, max: 70 },
      throttled: 1,
      p90Ms: { devices: 3, median: 10, max: 12 },
      openJobs: { fitting: 1 },
      messagesPerSecond: 4,
      telemetryPerSecond: 3,
    });
    expect([medianOf([]), medianOf([1]), medianOf([1, 2])]).toEqual([null, 1, 1.5]);
  });

  test('in one line, and as a picture of 80 columns', () => {
    expect(sampleLine(sample)).toBe(
      '2026-03-01T12:00:00.000Z 3 devices: 2 online, 1 offline; °C median 60, highest 70 of 2; p90 ms median 10.0, highest 12.0 of 3; 1 open jobs; telemetry 3.0/s',
    );
    const seen = {
      samples: [sample, { ...sample, states: { online: 3 } }, sample],
      classes: new Map([['rpi-5', [9, 10, 10]]]),
      heat: new Map([['b', [60, 65, 70]]]),
    };
    const marks = marksFor({ LANG: 'C.UTF-8' });
    const picture = renderWatch(rows, seen, { width: 80, color: false, marks, hottest: 5 });
    expect(Math.max(...picture.map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(picture[0]).toBe('3 devices, 2 online, 1 offline; q leaves');
    expect(picture.join('\n')).toMatch(/^online {5}2 of 3 .*▁█▁$/m);
    expect(picture.join('\n')).toMatch(/^rpi-5 +3 +2 +2 +1 +0 +10\.0 +▁██$/m);
    expect(picture.at(-2)).toMatch(/^ {2}70 °C b \(rpi-5\) .*▁▅█$/);
  });
});
