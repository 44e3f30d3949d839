import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

export const FOLDER = resolve(import.meta.dirname, '../../monitoring');

const gridSchema = z.strictObject({
  x: z.int().min(0).max(23),
  y: z.int().min(0),
  w: z.int().min(1).max(24),
  h: z.int().min(1),
});
const sourceSchema = z.strictObject({
  type: z.literal('prometheus'),
  uid: z.literal('${datasource}'),
});
const targetSchema = z.looseObject({
  refId: z.string().regex(/^[A-Z]$/),
  datasource: sourceSchema,
  expr: z.string().min(1),
});
export const panelSchema = z.looseObject({
  id: z.int().positive(),
  type: z.enum(['row', 'stat', 'timeseries', 'table']),
  title: z.string().min(1),
  gridPos: gridSchema,
  datasource: sourceSchema.optional(),
  targets: z.array(targetSchema).min(1).optional(),
});
const dashboardSchema = z.looseObject({
  uid: z.string().max(40),
  title: z.string(),
  schemaVersion: z.int(),
  graphTooltip: z.int(),
  templating: z.object({ list: z.array(z.looseObject({ name: z.string(), type: z.string() })) }),
  panels: z.array(panelSchema),
});

export type Dashboard = z.infer<typeof dashboardSchema>;
export type Panel = z.infer<typeof panelSchema>;

export function readDashboard(): Dashboard {
  const text = readFileSync(resolve(FOLDER, 'grafana-dashboard.json'), 'utf8');
  return dashboardSchema.parse(JSON.parse(text));
}

/** Queries of the dashboard as Grafana sends them for all devices, by panel. */
export function dashboardQueries(): readonly { readonly panel: string; readonly expr: string }[] {
  return readDashboard().panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({ panel: title, expr: expr.replaceAll('$instance', '.*') })),
  );
}

const rulesSchema = z.object({
  groups: z.array(
    z.object({ rules: z.array(z.looseObject({ alert: z.string(), expr: z.string() })) }),
  ),
});

export function alertRules(): readonly { readonly alert: string; readonly expr: string }[] {
  const text = readFileSync(resolve(FOLDER, 'alerts.yml'), 'utf8');
  return rulesSchema.parse(parse(text)).groups.flatMap(({ rules }) => rules);
}
