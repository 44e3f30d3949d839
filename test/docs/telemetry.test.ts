import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { configLeaves } from '../../agent/config/environment.ts';
import { metrics, type Metric } from '../../agent/contracts/metrics.ts';

const MEBIBYTE = 1024 ** 2;
const page = readFileSync(resolve(import.meta.dirname, '../../docs/telemetry.md'), 'utf8');
const flat = page.replaceAll(/ +/g, ' ');

function amount(value: number, { unit }: Metric): string {
  if (unit === 'bytes' && value >= MEBIBYTE) return `${value / MEBIBYTE} MiB`;
  if (unit === 'bytes' && value >= 1024) return `${value / 1024} KiB`;
  return String(value);
}

function band(metric: Metric): string {
  const { absolute, relative } = metric.deadBand;
  const parts = [
    ...(absolute === undefined ? [] : [amount(absolute, metric)]),
    ...(relative === undefined ? [] : [`${relative * 100} %`]),
  ];
  return parts.join(', ');
}

/** The row of a metric as the page must have it. */
function rowOf(metric: Metric): string {
  const { name, unit, prometheus, help } = metric;
  const labels = Object.entries(prometheus.labels ?? {}).map(([key, value]) => `${key}="${value}"`);
  const shown = labels.length === 0 ? prometheus.name : `${prometheus.name}{${labels.join()}}`;
  return `| \`${name}\` | ${unit} | ${band(metric)} | \`${shown}\` | ${help} |`;
}

describe('docs/telemetry.md', () => {
  test('has a row for every metric, as the catalog has it', () => {
    expect(metrics.map(rowOf).filter((row) => !flat.includes(row))).toEqual([]);
    const rows = page.split('\n').filter((line) => /^\| `\w+`.*`edgefit_/.test(line));
    expect(rows).toHaveLength(metrics.length);
  });

  test('has every key of the configuration of telemetry and metrics', () => {
    const keys = configLeaves
      .filter(({ path: [section] }) => section === 'telemetry' || section === 'metrics')
      .map(({ path }) => path.join('.'));
    expect(keys.filter((key) => !page.includes(`\`${key}\``))).toEqual([]);
  });
});
