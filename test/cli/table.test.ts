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
