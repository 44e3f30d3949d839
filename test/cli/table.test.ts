import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { renderReport } from '../../agent/cli/table.ts';
import { hang, wrap } from '../../agent/cli/text.ts';
import { report } from '../fit/report-fixture.ts';

const golden = (name: string) => readFileSync(join(import.meta.dirname, 'golden', name), 'utf8');

test.each([
  [80, 'report-80.txt'],
  [160, 'report-160.txt'],
])('the report at %i columns', (width, file) => {
  const text = renderReport(report, { width, color: false });
  expect(text).toBe(golden(file));
  expect(text.split('\n').filter((line) => line.length > width)).toEqual([]);
});

/** The same board with a power monitor, hot in the end. */
const heated = {
  ...report,
  device: {
    ...report.device,
    power: { mode: 'MAXN_SUPER', clocksLocked: true, totalMilliwatts: 4761, rails: [] },
  },
  conditions: {
    governor: 'schedutil',
    powerMode: 'MAXN_SUPER',
    clocksLocked: true,
    powerSource: 'INA3221 VDD_IN',
    noPower: null,
    sampleEveryMs: 250,
    coolDownSeconds: 60,
    waitedSeconds: 12,
  },
  candidates: report.candidates.map((row, at) =>
    row.latencyMs === null
      ? row
      : {
          ...row,
          heat: {
            beforeCelsius: 51.2,
            afterCelsius: 70,
            beforeHz: null,
            afterHz: null,
            maxCelsius: 84.5,
            zone: 'cpu-thermal',
          },
          clocks: { cpuMeanHz: 2.4e9, cpuMinHz: 1.5e9, gpuMeanHz: null, gpuLoadShare: null },
          power: {
            meanMilliwatts: 6250,
            idleMilliwatts: 2700,
            source: 'INA3221 VDD_IN',
            readings: 5,
          },
          energyPerInferenceMillijoules: 123.4,
          ...(at > 1
            ? {}
            : {
                throttled: {
                  reasons: ['soft-temperature-limit'],
                  turns: at,
                  repeatedTurns: 1,
                  waitedSeconds: 12,
                },
              }),
        },
  ),
};

test.each([80, 160])('heat and power at %i columns, where they are known', (width) => {
  const text = renderReport(heated, { width, color: false });
  const lines = text.split('\n');
  expect(lines.filter((line) => line.length > width)).toEqual([]);
  expect(text).toContain('Power        mode MAXN_SUPER, clocks held, measured by INA3221 VDD_IN');
  expect(lines.some((line) => /^1 .* 84\.5 .*123.* repeated/.test(line))).toBe(true);
  expect(lines.some((line) => /^2 .* 84\.5 .*123.* yes/.test(line))).toBe(true);
  expect(text).toContain('energy: of one inference');
});

test('at 80 columns heat has a table of its own', () => {
  const text = renderReport(heated, { width: 80, color: false });
  const [head, units, first] = text
    .split('\n\n')
    .find((section) => section.includes('throttled'))
    ?.split('\n') ?? [''];
  expect(head).toMatch(/^# {2}precision +runtime +thr +heat +CPU +power +energy +throttled$/);
  expect(units?.trim()).toMatch(/^max C +MHz +W +mJ$/);
  expect(first).toMatch(/^1 {2}fp32 +onnxruntime +1 +84\.5 +2400 +6\.25 +123 +repeated$/);
});

test('colour changes nothing but colour', () => {
  const colored = renderReport(report, { width: 80, color: true });
  const codes = new RegExp(String.raw`\u001B\[\d+m`, 'g');
  expect(colored).toMatch(codes);
  expect(colored.replaceAll(codes, '')).toBe(golden('report-80.txt'));
});

test('names from files cannot steer the terminal', () => {
  const model = { ...report.model, name: 'evil\u001B[2J\r\nname' };
  const text = renderReport({ ...report, model }, { width: 80, color: false });
  expect(text).toContain('evil [2J name');
  expect(text).not.toContain('\u001B');
});

test('a report without candidates', () => {
  const empty = { ...report, candidates: [], chosen: null, notTried: [], warnings: [] };
  expect(renderReport(empty, { width: 80, color: false })).toContain('Chosen: nothing');
});

test('wrapping', () => {
  expect(wrap('one two three', 7)).toEqual(['one two', 'three']);
  expect(wrap('abcdefghij k', 4)).toEqual(['abcd', 'efgh', 'ij k']);
  expect(wrap('', 4)).toEqual(['']);
  expect(hang('a: ', 'one two', 6)).toEqual(['a: one', '   two']);
});
