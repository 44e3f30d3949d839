import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { actionSchema, type Device, type Models } from '../../../contracts/dashboard.ts';
import { ID_PATTERN } from '../../../contracts/ids.ts';
import type { JobRecord } from '../../../contracts/job.ts';
import { messageOf } from '../../../util/errors.ts';
import { checked } from '../checked.ts';
import { ApiFailure } from '../error.ts';
import { METRIC_NAME } from '../history/metric-names.ts';
import { modelsOf } from '../models.ts';
import { userLimiter } from '../rate-limits.ts';
import type { FleetView, HistoryStore, Operator } from '../ports.ts';
import { fleetText, type RowTexts } from '../row-texts.ts';

export interface FleetParts {
  readonly fleet: FleetView;
  readonly history: HistoryStore;
  /** Null: nobody can act here. */
  readonly operator: Operator | null;
  readonly texts: RowTexts;
  readonly fleetReadsPerMinute: number;
  readonly nowMs: () => number;
  readonly log: (message: string) => void;
}

const idSchema = z.object({ id: z.string().regex(ID_PATTERN, 'it is no device id') });

/** A page reads it when it connects; whoever does so all the time holds up the others. */
export const FLEET_READS_PER_MINUTE = 600;

const DAY_MS = 86_400_000;
const MAX_METRICS = 20;
const MAX_POINTS = 2000;

/** What a date can be. */
const MAX_TIME_MS = 8.64e15;
const time = z.coerce.number().min(-MAX_TIME_MS).max(MAX_TIME_MS);

const historySchema = z.object({
  metrics: z
    .string()
    .max(2000)
    .transform((text) => text.split(',').filter((name) => name !== ''))
    .pipe(z.array(z.string().regex(METRIC_NAME, 'it is no metric')).min(1).max(MAX_METRICS)),
  from: time.optional(),
  to: time.optional(),
  points: z.coerce.number().int().min(10).max(MAX_POINTS).default(500),
});

/** GET /api/fleet, /api/models and everything about one device. */
export function addFleetRoutes(app: FastifyInstance, parts: FleetParts): void {
  const viewer = { config: { access: 'viewer' } } as const;
  const limit = userLimiter(app, parts.fleetReadsPerMinute);
  app.get('/api/fleet', viewer, async (request, reply) => {
    await limit(request, reply);
    return reply.type('application/json; charset=utf-8').send(fleetText(parts.fleet, parts.texts));
  });
  app.get('/api/models', viewer, (): Models => modelsOf(parts.fleet));
  app.get('/api/devices/:id', viewer, ({ params }) =>
    describeDevice(parts, checked(idSchema, params).id),
  );
  app.get('/api/devices/:id/history', viewer, ({ params, query }) => {
    const { id } = checked(idSchema, params);
    const { metrics, from, to, points } = checked(historySchema, query);
    const toMs = to ?? parts.nowMs();
    const fromMs = from ?? toMs - DAY_MS;
    if (fromMs >= toMs) throw new ApiFailure('bad_request', 'from: it is not before to');
    return parts.history.read({ deviceId: id, metrics, fromMs, toMs, points });
  });
  app.post('/api/devices/:id/actions', { config: { access: 'operator' } }, (request) => {
    const { id } = checked(idSchema, request.params);
    const action = checked(actionSchema, request.body);
    if (parts.fleet.row(id) === null) throw noDevice(parts, id);
    return operatorOf(parts).act(id, action, request.identity?.user ?? '');
  });
}

/** Throws ApiFailure read_only. */
export function operatorOf({ operator }: { readonly operator: Operator | null }): Operator {
  if (operator !== null) return operator;
  throw new ApiFailure('read_only', 'this dashboard was started without --key: it can only look');
}

function noDevice({ fleet }: FleetParts, deviceId: string): ApiFailure {
  const revoked = `${deviceId} is revoked: nothing that it says is heard`;
  const text = fleet.isRevoked(deviceId) ? revoked : `there is no device ${deviceId}`;
  return new ApiFailure('not_found', text);
}

async function describeDevice(parts: FleetParts, deviceId: string): Promise<Device> {
  const { fleet, history } = parts;
  const row = fleet.row(deviceId);
  if (row === null) throw noDevice(parts, deviceId);
  const stored = Promise.all([
    history.jobs(deviceId),
    history.benches(deviceId),
    history.latest(deviceId),
  ]).catch((error: unknown) => {
    // What the device is now can be told without it.
    parts.log(`the history of devices cannot be read: ${messageOf(error)}`);
    return [[], [], {}] as const;
  });
  const [documents, [jobs, benches, latest]] = await Promise.all([
    fleet.documents(deviceId),
    stored,
  ]);
  return {
    row,
    birth: documents.birth,
    twin: documents.twin,
    jobs: mergeJobs(documents.jobs, jobs),
    benches: [...benches],
    decisions: [...documents.decisions],
    latest,
  };
}

/** The newest state of each job that either knows; newest job first. */
function mergeJobs(kept: readonly JobRecord[], stored: readonly JobRecord[]): JobRecord[] {
  const jobs = new Map<string, JobRecord>();
  for (const record of [...stored, ...kept]) {
    const known = jobs.get(record.jobId);
    if (known === undefined || known.seq < record.seq) jobs.set(record.jobId, record);
  }
  return [...jobs.values()].toSorted((a, b) => Date.parse(b.ts) - Date.parse(a.ts));
}
