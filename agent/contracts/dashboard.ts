import { z } from 'zod';
import { benchSchema } from './bench.ts';
import { deviceStates } from './fleet-status.ts';
import { twinSchema } from './fleet-twin.ts';
import { ID_PATTERN, telemetryStreams } from './ids.ts';
import { jobRecordSchema } from './job.ts';
import { birthSchema } from './messages.ts';
import { controllerStatusSchema, rolloutSchema, rolloutSpecSchema } from './rollout.ts';

/**
 * The HTTP API of `agent dashboard`, JSON in UTF-8. Between a page and its own server, so there is no
 * version in it; both come out of one package. Times that end in `Ms`, and those in tuples, are
 * milliseconds since 1970 by the clock of the server; texts are RFC 3339.
 */

export const roles = ['viewer', 'operator'] as const;

/** `silent`: its last status says online, but nothing has come from it for minutes. */
export const rowStates = [...deviceStates, 'silent'] as const;

export const deviceActions = ['bench', 'rollback', 'collect', 'selfcheck'] as const;

/** What can be done to a rollout that is there. */
export const rolloutActions = ['approve', 'pause', 'resume', 'abort', 'rollback'] as const;

export const apiErrorCodes = [
  'bad_request',
  'unauthorized',
  'forbidden',
  'csrf',
  'not_found',
  'rate_limited',
  'too_large',
  'busy',
  'read_only',
  'broker_lost',
  'no_controller',
  'refused',
  'timeout',
  'failed',
] as const;

const id = z.string().regex(ID_PATTERN);
const count = z.int().nonnegative();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const MAX_TEXT = 500;

/** Of every answer that is not 2xx. `text` is one line for people. */
export const apiErrorSchema = z.object({
  error: z.object({ code: z.enum(apiErrorCodes), text: z.string() }),
});

/** POST /api/login. Answered with the session and its cookie. */
export const loginSchema = z.strictObject({
  user: z.string().min(1).max(64),
  password: z.string().min(1).max(1024),
});

/** GET /api/session, and the answer to a login. */
export const sessionSchema = z.object({
  user: z.string(),
  role: z.enum(roles),
  csrf: z.string().describe('goes into the header x-csrf-token of every POST'),
  version: z.string().describe('of the agent that serves this'),
  now: z.number().describe('milliseconds since 1970 by the server: ages are counted from it'),
  login: z.enum(['password', 'proxy']).describe('proxy: there is nothing to log out of'),
  readOnly: z.string().nullable().describe('why nobody can act here, such as no key; null: may'),
});

/** One line of the table of devices. */
export const deviceRowSchema = z.object({
  deviceId: id,
  state: z.enum(rowStates),
  lastSeenMs: z.number().nullable().describe('null: never while the server watched'),
  class: z.string().nullable().describe('id of the hardware profile'),
  board: z.string().nullable(),
  tags: z.array(z.string()),
  agent: z.string().nullable().describe('version of the agent'),
  model: z
    .object({
      name: z.string(),
      version: z.string(),
      precision: z.string(),
      digest: z.string(),
      releaseCounter: count,
    })
    .nullable(),
  p90Ms: z.number().nullable(),
  accuracy: z.object({ metric: z.string(), value: z.number() }).nullable(),
  celsius: z.number().nullable(),
  throttled: z.boolean().nullable(),
  job: z
    .object({ jobId: id, jobType: z.string(), phase: z.string(), status: z.string() })
    .nullable()
    .describe('the newest'),
  cloned: z.boolean().describe('two machines use this id at once'),
});

export const brokerStateSchema = z.object({
  connected: z.boolean(),
  since: z.string().describe('RFC 3339: of this state'),
  url: z.string().describe('without credentials'),
  reason: z.string().nullable().describe('why it is not connected'),
});

/** GET /api/fleet */
export const fleetSchema = z.object({
  devices: z.array(deviceRowSchema),
  broker: brokerStateSchema,
  controllers: z.array(controllerStatusSchema),
  complete: z.boolean().describe('everything that the broker keeps has been read'),
});

/** A line of GET /api/benches, newest first. */
export const benchLineSchema = z.object({
  deviceId: id,
  benchId: id,
  ts: z.string().describe('RFC 3339: when the server got it'),
  model: z.object({ name: z.string(), sha256: z.string(), format: z.string() }),
  chosen: z
    .object({ id: z.string(), precision: z.string(), p90Ms: z.number().nullable() })
    .nullable(),
  candidates: count,
});

/** GET /api/devices/:id */
export const deviceSchema = z.object({
  row: deviceRowSchema,
  birth: birthSchema.nullable(),
  twin: twinSchema.nullable(),
  jobs: z.array(jobRecordSchema).describe('newest first'),
  benches: z.array(benchLineSchema).describe('newest first'),
  latest: z.record(z.string(), z.object({ value: z.number().nullable(), ts: z.number() })),
});

/** Time, mean, smallest and largest value of a step; null is a gap: it could not be read. */
export const historyPointSchema = z.tuple([
  z.number(),
  z.number().nullable(),
  z.number().nullable(),
  z.number().nullable(),
]);

/** GET /api/devices/:id/history?metrics=a,b&from=MS&to=MS&points=N */
export const historySchema = z.object({
  from: z.number(),
  to: z.number(),
  stepMs: z.number().describe('width of a step; a step with one value has its very time'),
  series: z.record(z.string(), z.array(historyPointSchema)),
});

/** POST /api/devices/:id/actions */
export const actionSchema = z.strictObject({
  action: z.enum(deviceActions),
  model: z.string().regex(ID_PATTERN).optional().describe('of bench and rollback'),
});
export const actionAnswerSchema = z.object({ jobId: id });

/** GET /api/rollouts */
export const rolloutsSchema = z.object({ rollouts: z.array(rolloutSchema) });

/** GET /api/rollouts/:id, and the answer to every POST there (of plan: as it would be). */
export const rolloutAnswerSchema = z.object({ rollout: rolloutSchema });

/** POST /api/rollouts/plan */
export const planSchema = z.strictObject({ spec: rolloutSpecSchema });

/** POST /api/rollouts */
export const createRolloutSchema = z.strictObject({
  rolloutId: id.optional().describe('made up where it is not given'),
  spec: rolloutSpecSchema,
  approve: z.boolean().default(false).describe('and start at once'),
});

/** POST /api/rollouts/:id/ACTION */
export const rolloutActionSchema = z.strictObject({ reason: z.string().max(MAX_TEXT).optional() });

/** GET /api/benches?device= or ?before= */
export const benchesSchema = z.object({
  benches: z.array(benchLineSchema),
  next: z.string().nullable().describe('`before` of the next page; null: this is the last'),
});

/** What a comparison shows of one candidate in one report. */
export const comparedSchema = z.object({
  p50Ms: z.number().nullable(),
  p90Ms: z.number().nullable(),
  p99Ms: z.number().nullable(),
  throughputPerSecond: z.number().nullable(),
  bytes: z.number().nullable(),
  peakRssBytes: z.number().nullable(),
  integerCoverage: z.number().nullable(),
  sqnrDb: z.number().nullable(),
  accuracy: z.number().nullable(),
  verdict: z.string(),
});

/** GET /api/compare?left=DEVICE/BENCH&right=DEVICE/BENCH */
export const compareSchema = z.object({
  left: benchLineSchema.extend({ report: benchSchema }),
  right: benchLineSchema.extend({ report: benchSchema }),
  rows: z
    .array(
      z.object({
        candidate: z.string().describe('runtime/precision-method/tTHREADS'),
        left: comparedSchema.nullable().describe('null: not in this report'),
        right: comparedSchema.nullable(),
      }),
    )
    .describe('in the order of the left report, then what only the right one has'),
});

/** GET /api/models: seen on devices and in rollouts; for the form of a new rollout. */
export const modelsSchema = z.object({
  models: z.array(
    z.object({
      name: z.string(),
      versions: z
        .array(
          z.object({
            version: z.string(),
            releaseCounter: count.nullable(),
            manifestSha256: sha256.nullable(),
            devices: count.describe('that run it now'),
          }),
        )
        .describe('highest release first'),
    }),
  ),
});

/**
 * GET /api/events: server-sent events, each by its name, with JSON as data. At most one of a kind in a
 * second. `telemetry`, `job` and `bench` come only where `?device=ID` names the device.
 */
export const eventSchemas = {
  devices: z.object({ changed: z.array(deviceRowSchema), gone: z.array(id) }),
  broker: brokerStateSchema,
  controllers: z.object({ controllers: z.array(controllerStatusSchema) }),
  rollout: z.object({ rollout: rolloutSchema }),
  telemetry: z.object({
    deviceId: id,
    stream: z.enum(telemetryStreams),
    ts: z.number(),
    values: z.record(z.string(), z.number().nullable()),
  }),
  job: z.object({ job: jobRecordSchema }),
  bench: z.object({ bench: benchLineSchema }),
  complete: z.object({ complete: z.boolean() }),
} as const;

export type Role = (typeof roles)[number];
export type RowState = (typeof rowStates)[number];
export type DeviceAction = (typeof deviceActions)[number];
export type RolloutAction = (typeof rolloutActions)[number];
export type ApiErrorCode = (typeof apiErrorCodes)[number];
export type ApiError = z.infer<typeof apiErrorSchema>;
export type SessionInfo = z.infer<typeof sessionSchema>;
export type DeviceRow = z.infer<typeof deviceRowSchema>;
export type BrokerState = z.infer<typeof brokerStateSchema>;
export type Fleet = z.infer<typeof fleetSchema>;
export type Device = z.infer<typeof deviceSchema>;
export type BenchLine = z.infer<typeof benchLineSchema>;
export type HistoryPoint = z.infer<typeof historyPointSchema>;
export type History = z.infer<typeof historySchema>;
export type Action = z.infer<typeof actionSchema>;
export type Compared = z.infer<typeof comparedSchema>;
export type Compare = z.infer<typeof compareSchema>;
export type Models = z.infer<typeof modelsSchema>;
export type DashboardEvents = {
  readonly [Name in keyof typeof eventSchemas]: z.infer<(typeof eventSchemas)[Name]>;
};
export type DashboardEventName = keyof typeof eventSchemas;
