import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { latencyChart } from '../../../agent/fit/report/chart.ts';
import { renderMarkdown } from '../../../agent/fit/report/markdown.ts';
import { report } from '../report-fixture.ts';

test('the report', () => {
  const expected = readFileSync(join(import.meta.dirname, '../golden', 'report.txt'), 'utf8');
  expect(renderMarkdown(report)).toBe(expected);
});

test('names from files neither break tables nor become markup', () => {
  const model = { ...report.model, name: 'a|b <script>\n# `x`' };
  const text = renderMarkdown({ ...report, model });
  expect(text.split('\n')[0]).toBe(
    String.raw`# a\|b \<script\> \# \`x\` on Raspberry Pi 5 Model B Rev 1.0`,
  );
});

test('a chart without rows is empty, a tiny bar is still seen', () => {
  expect(latencyChart({ ...report, candidates: [] })).toBe('');
  const [first] = report.candidates;
  const rows = [1000, 0.001].map((p50, index) => ({
    ...first!,
    id: `row${index}`,
    latencyMs: { ...first!.latencyMs!, p50 },
  }));
  expect(latencyChart({ ...report, candidates: rows }).split('\n')).toEqual([
    `row0  ${'#'.repeat(40)} 1000 ms`,
    'row1  # 0.001 ms',
  ]);
});
