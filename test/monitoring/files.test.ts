import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import {
  BigValueColorMode,
  BigValueGraphMode,
  DashboardCursorSync,
  defaultDashboard,
  FieldColorModeId,
  GraphDrawStyle,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LineInterpolation,
  MappingType,
  SortOrder,
  StackingMode,
  TableCellDisplayMode,
  TableCellHeight,
  ThresholdsMode,
  TooltipDisplayMode,
  VariableHide,
  VariableRefresh,
  VariableSort,
  VisibilityMode,
} from '@grafana/schema';
import { parse as parseToml } from 'smol-toml';
import { telemetryStreams } from '../../agent/contracts/ids.ts';
import { executionStates } from '../../agent/fleet/rollouts/execution.ts';
import { parseTopic, topicFor } from '../../agent/fleet/protocol/topics.ts';
import { programPath, testIf } from '../support/available.ts';
import { alertRules, FOLDER, readDashboard, type Panel } from './support.ts';

const overlap = (a: Panel['gridPos'], b: Panel['gridPos']): boolean =>
  a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

/** Every value of a key, however deep. */
function valuesOf(key: string, value: unknown): unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) =>
    name === key ? [inner, ...valuesOf(key, inner)] : valuesOf(key, inner),
  );
}

describe('the dashboard', () => {
  const dashboard = readDashboard();
  const { panels } = dashboard;

  test('has panels of their own, beside each other, on one data source that can be chosen', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    for (const [at, one] of panels.entries()) {
      expect(one.gridPos.x + one.gridPos.w).toBeLessThanOrEqual(24);
      const under = panels.slice(at + 1).filter(({ gridPos }) => overlap(one.gridPos, gridPos));
      expect([one.title, under.map(({ title }) => title)]).toEqual([one.title, []]);
      expect([one.title, one.type === 'row']).toEqual([one.title, one.datasource === undefined]);
      const refs = (one.targets ?? []).map(({ refId }) => refId);
      expect(new Set(refs).size).toBe(refs.length);
    }
    const names = dashboard.templating.list.map(({ name, type }) => [name, type]);
    expect(names).toEqual([
      ['datasource', 'datasource'],
      ['instance', 'query'],
    ]);
    const used = JSON.stringify(panels).match(/\$\{?(\w+)/g) ?? [];
    const known = ['datasource', 'instance'];
    expect(used.filter((name) => !known.includes(name.replace(/^\$\{?/, '')))).toEqual([]);
  });

  test.each<[string, string, object]>([
    ['legend', 'displayMode', LegendDisplayMode],
    ['field', 'drawStyle', GraphDrawStyle],
    ['field', 'lineInterpolation', LineInterpolation],
    ['field', 'showPoints', VisibilityMode],
    ['stat', 'colorMode', BigValueColorMode],
    ['stat', 'graphMode', BigValueGraphMode],
    ['table', 'cellHeight', TableCellHeight],
  ])('uses for %s %s what the schema of Grafana has', (_where, key, values) => {
    const found = valuesOf(key, panels);
    expect(found.length).toBeGreaterThan(0);
    for (const value of found) expect(Object.values(values)).toContain(value);
  });

  test.each<[string, readonly string[], object]>([
    ['stacking', ['mode'], StackingMode],
    ['thresholds', ['mode'], ThresholdsMode],
    ['thresholdsStyle', ['mode'], GraphThresholdsStyleMode],
    ['tooltip', ['mode'], TooltipDisplayMode],
    ['tooltip', ['sort'], SortOrder],
    ['color', ['mode'], FieldColorModeId],
    ['cellOptions', ['type'], TableCellDisplayMode],
  ])('uses for %s %s what the schema of Grafana has', (key, [inner = ''], values) => {
    const found = valuesOf(key, panels)
      .flatMap((value) => (typeof value === 'object' ? [Object(value)[inner]] : []))
      .filter((value) => value !== undefined);
    expect(found.length).toBeGreaterThan(0);
    for (const value of found) expect(Object.values(values)).toContain(value);
  });

  test('uses for mappings, variables and itself what the schema of Grafana has', () => {
    const mappings = valuesOf('mappings', panels).flat();
    for (const mapping of mappings) {
      expect(Object.values(MappingType)).toContain(Object(mapping).type);
    }
    for (const variable of dashboard.templating.list) {
      expect(Object.values(VariableHide)).toContain(variable['hide']);
      expect(Object.values(VariableRefresh)).toContain(variable['refresh']);
      expect(Object.values(VariableSort)).toContain(variable['sort'] ?? VariableSort.disabled);
    }
    expect(Object.values(DashboardCursorSync)).toContain(dashboard.graphTooltip);
    expect(dashboard.schemaVersion).toBeLessThanOrEqual(defaultDashboard.schemaVersion ?? 0);
  });
});

describe('the Telegraf configuration', () => {
  const text = readFileSync(resolve(FOLDER, 'telegraf.conf'), 'utf8');
  const { inputs } = Object(parseToml(text));
  const consumers: readonly Record<string, unknown>[] = inputs.mqtt_consumer;

  test('keeps a session of its own for each input, and is not slow to come back', () => {
    expect(consumers).toHaveLength(2);
    for (const consumer of consumers) {
      expect(consumer).toMatchObject({
        qos: 1,
        persistent_session: true,
        max_reconnect_interval: '30s',
        data_format: 'json_v2',
      });
    }
    expect(new Set(consumers.map(({ client_id: id }) => id)).size).toBe(2);
  });

  test('takes tags from the places of our topics', () => {
    const topics = [
      ...telemetryStreams.map((stream) => topicFor('telemetry', { device: 'pi-7', stream })),
      topicFor('event', { device: 'pi-7', event: 'drift' }),
    ];
    for (const topic of topics) {
      const matches = (filter: string) =>
        filter.split('/').every((part, at) => part === '+' || part === topic.split('/')[at]);
      const [own, ...more] = consumers.filter(({ topics: filters }) =>
        Object(filters).some(matches),
      );
      expect(more).toEqual([]);
      const [parsing] = Object(own?.['topic_parsing']);
      expect(matches(parsing.topic)).toBe(true);
      const tags: string[] = parsing.tags.split('/');
      const segments = topic.split('/');
      expect(tags).toHaveLength(segments.length);
      const taken = segments.filter((_segment, at) => tags[at] !== '_');
      expect(taken).toEqual(Object.values(parseTopic(topic)?.ids ?? {}));
    }
  });
});

describe('the alerts', () => {
  test('have names of their own', () => {
    const names = alertRules().map(({ alert }) => alert);
    expect(new Set(names).size).toBe(names.length);
    const tests = readFileSync(resolve(FOLDER, 'alerts.test.yml'), 'utf8');
    expect(names.filter((name) => !tests.includes(`alertname: ${name}\n`))).toEqual([]);
  });

  test('ask for labels that a controller gives', () => {
    const asked = alertRules().flatMap(({ expr }) =>
      [...expr.matchAll(/edgefit_rollout_devices\{status=~"([^"]+)"\}/g)].flatMap(
        ([, statuses = '']) => statuses.split('|'),
      ),
    );
    expect(asked).toEqual(['failed', 'rejected']);
    expect(executionStates).toEqual(expect.arrayContaining(asked));
  });

  testIf('prometheus')('are sound, and fire when they should', () => {
    const promtool = programPath('promtool') ?? '';
    const run = (...args: string[]) =>
      execFileSync(promtool, args, { cwd: FOLDER, encoding: 'utf8', stdio: 'pipe' });
    expect(run('check', 'config', 'prometheus.yml')).toContain('SUCCESS');
    expect(run('check', 'rules', 'alerts.yml')).toContain(`${alertRules().length} rules found`);
    expect(run('test', 'rules', 'alerts.test.yml')).toContain('SUCCESS');
  });
});
