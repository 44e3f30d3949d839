import { z } from 'zod';
import { ID_PATTERN } from './ids.ts';
import { policySchema, windowSchema } from './job.ts';
import { signedPartSchema } from './signed.ts';

/**
 * Rollouts: a release brought to many devices, wave by wave. An operator sends signed commands to
 * `r/{rollout}/cmd/{request}`; the controller that leads answers at `r/{rollout}/rsp/{request}` and
 * keeps the record retained at `r/{rollout}/state`.
 */

export const rolloutStates = [
  'draft',
  'planned',
  'approved',
  'running',
  'paused',
  'completed',
  'aborted',
] as const;

export const waveStates = ['scheduled', 'running', 'soaking', 'passed', 'failed'] as const;

export const rolloutCommands = [
  'create',
  'plan',
  'approve',
  'pause',
  'resume',
  'abort',
  'rollback',
] as const;

const id = z.string().regex(ID_PATTERN);
const hex64 = z.string().regex(/^[0-9a-f]{64}$/);
const timestamp = z.iso.datetime({ precision: 3 });
const count = z.int().nonnegative();
const DAY_SECONDS = 86_400;
const WEEK_SECONDS = 7 * DAY_SECONDS;
const MAX_WAVES = 50;

/** Both have to be reached: a share alone stops at the first of three devices. */
export const failureLimitSchema = z.object({
  percent: z
    .number()
    .min(0)
    .max(100)
    .describe('of the devices of a wave that have ended or are at work'),
  count: z.int().min(1).describe('and at least this many of them'),
});

/** What a wave may change on its devices, each compared with itself before. */
export const comparisonSchema = z.object({
  maxP90Ratio: z.number().positive().default(1.5).describe('median of p90 after / p90 before'),
  maxAccuracyDrop: z.number().min(0).max(1).optional().describe('median, share of the metric'),
  maxCelsiusRise: z.number().positive().default(15).describe('median of the temperature'),
});

/** What an operator asks for. */
export const rolloutSpecSchema = z
  .object({
    model: z.object({
      name: id,
      version: id,
      releaseCounter: count.optional().describe("the repository's, where it is not given"),
      manifestSha256: hex64.optional(),
    }),
    where: z
      .string()
      .max(2000)
      .default('')
      .describe("which devices: class=rpi-5 and tag=site-a; '' is every device"),
    waves: z
      .array(z.number().gt(0).max(100))
      .min(1)
      .max(MAX_WAVES)
      .default([1, 10, 50, 100])
      .describe('percent of the devices that have had their turn by the end of each wave'),
    canaryPerClass: z
      .int()
      .min(0)
      .max(100)
      .default(1)
      .describe('devices of every hardware class in a wave of their own before the others'),
    soakSeconds: z.number().min(0).max(WEEK_SECONDS).default(1800),
    maxFailed: failureLimitSchema.default({ percent: 5, count: 10 }),
    compare: comparisonSchema.prefault({}),
    onFailed: z
      .enum(['pause', 'abort', 'rollback'])
      .default('pause')
      .describe('abort: also takes open jobs back; rollback: also undoes those that succeeded'),
    ratePerMinute: z.int().min(1).max(60_000).default(1000).describe('jobs handed out'),
    jobSeconds: z
      .number()
      .min(60)
      .max(365 * DAY_SECONDS)
      .default(WEEK_SECONDS)
      .describe('how long a job stays valid for a device that is away'),
    window: windowSchema.optional(),
    policy: policySchema.optional(),
    probeSeconds: z.number().min(0).max(DAY_SECONDS).optional(),
    jitterSeconds: z.number().min(0).max(DAY_SECONDS).optional(),
    lateJoiners: z
      .boolean()
      .default(true)
      .describe('devices that appear later and fit join the last wave'),
  })
  .describe('a rollout as an operator asks for it');

/** The signed part of a command. Its `deviceId` names the rollout: it is good for no other. */
export const rolloutCommandSchema = signedPartSchema
  .extend({
    type: z.literal('rollout'),
    command: z.enum(rolloutCommands),
    requestId: id.describe('names the answer; sent again, it is answered again and not done again'),
    actor: z.string().max(200).optional().describe('who asked, for the record'),
    spec: rolloutSpecSchema.optional().describe('of create, and of a plan without a rollout'),
    reason: z.string().max(500).optional(),
    approve: z.boolean().optional().describe('of create: and start it at once'),
  })
  .describe('a command to the controller about one rollout');

const jobCountsSchema = z.object({
  targets: count,
  pending: count.describe('have no job yet'),
  open: count.describe('have a job that has not ended'),
  succeeded: count,
  failed: count.describe('failed, timed out or expired'),
  rejected: count.describe('the device did not take the job'),
  canceled: count,
  rolledBack: count.describe('back on what they had before, by themselves or by a rollback'),
});

const mediansSchema = z.object({
  devices: count.describe('with values from before and after'),
  p90Ratio: z.number().nullable(),
  accuracyDrop: z.number().nullable(),
  celsiusRise: z.number().nullable(),
});

export const waveSchema = z.object({
  index: count,
  kind: z.enum(['canary', 'percent']),
  percent: z.number().nullable().describe('null for the canaries'),
  state: z.enum(waveStates),
  counts: jobCountsSchema,
  classes: z.record(z.string(), count).describe('devices of each hardware class'),
  startedAt: timestamp.nullable(),
  soakUntil: timestamp.nullable(),
  endedAt: timestamp.nullable(),
  compared: mediansSchema.nullable(),
  verdict: z.string().nullable().describe('why it failed, or what it passed with'),
});

/** Retained at `edgefit/v1/r/{rollout}/state`. */
export const rolloutSchema = z
  .looseObject({
    schema: z.literal('edgefit/rollout/1'),
    rolloutId: id,
    rev: z.int().positive().describe('grows with every change: a lower one is older'),
    epoch: count.describe('of the controller that wrote it'),
    state: z.enum(rolloutStates),
    spec: rolloutSpecSchema,
    createdAt: timestamp,
    createdBy: z.string().nullable(),
    startedAt: timestamp.nullable(),
    endedAt: timestamp.nullable(),
    ts: timestamp,
    reason: z.object({ code: z.string(), text: z.string() }).nullable().describe('of this state'),
    wave: count.nullable().describe('the one that is under way'),
    waves: z.array(waveSchema),
    counts: jobCountsSchema,
    offline: count.describe('targets that are not online now'),
    left: z
      .array(
        z.object({
          reason: z.string(),
          rollout: id.optional().describe('the one that they take part in'),
          devices: count,
          examples: z.array(id).max(5),
        }),
      )
      .describe('devices that were selected and are no targets, and why'),
    failures: z
      .array(
        z.object({
          code: z.string(),
          class: z.string(),
          devices: count,
          examples: z.array(id).max(5),
          text: z.string(),
        }),
      )
      .describe('by reason and hardware class, what was not undone apart, the most frequent first'),
  })
  .describe('how far a rollout is');

/** At `edgefit/v1/r/{rollout}/rsp/{request}`. */
export const rolloutResponseSchema = z
  .looseObject({
    schema: z.literal('edgefit/rollout-response/1'),
    requestId: id,
    rolloutId: id,
    controllerId: id,
    ts: timestamp,
    ok: z.boolean(),
    rollout: rolloutSchema.nullable().describe('as it is now; of plan: as it would be'),
    error: z.object({ code: z.string(), text: z.string() }).nullable(),
  })
  .describe("the controller's answer to a command");

export const controllerStates = ['leading', 'standby', 'offline'] as const;

/** Retained at `edgefit/v1/c/{controller}/status`; also the will. */
export const controllerStatusSchema = z
  .looseObject({
    schema: z.literal('edgefit/controller/1'),
    controllerId: id,
    state: z.enum(controllerStates),
    epoch: count.nullable().describe('grows with every change of the leader'),
    session: z.int().positive(),
    since: timestamp,
    ts: timestamp.nullable().describe('null in a will'),
    agent: z.string(),
    devices: count.nullable().describe('that it knows'),
  })
  .describe('whether a controller is there and leads');

export type RolloutState = (typeof rolloutStates)[number];
export type WaveState = (typeof waveStates)[number];
export type RolloutCommandName = (typeof rolloutCommands)[number];
export type RolloutSpec = z.infer<typeof rolloutSpecSchema>;
export type RolloutSpecInput = z.input<typeof rolloutSpecSchema>;
export type RolloutCommand = z.infer<typeof rolloutCommandSchema>;
export type Rollout = z.infer<typeof rolloutSchema>;
export type Wave = z.infer<typeof waveSchema>;
export type JobCounts = z.infer<typeof jobCountsSchema>;
export type RolloutResponse = z.infer<typeof rolloutResponseSchema>;
export type ControllerStatus = z.infer<typeof controllerStatusSchema>;
