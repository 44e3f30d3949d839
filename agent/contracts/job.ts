import { z } from 'zod';
import { ID_PATTERN } from './ids.ts';
import { jobTypes, jobPhases, jobStatuses, jobOutcomes } from './job-names.ts';
import { calibrationSources } from './manifest.ts';
import { signedPartSchema } from './signed.ts';

/**
 * Jobs: what an operator tells a device to do, and what the device says of it. The document is signed
 * (`edgefit/signed/1`) and retained at `dn/job/{jobId}`; the record is retained at `up/job/{jobId}`.
 */

export { jobOutcomes, jobPhases, jobStatuses, jobTypes };

const id = z.string().regex(ID_PATTERN);
const hex64 = z.string().regex(/^[0-9a-f]{64}$/);
const DAY_SECONDS = 86_400;

/** When a device may be disturbed, by its own clock. */
export const windowSchema = z.object({
  cron: z.string().min(1).max(100).describe('when it opens: minute hour day month weekday'),
  durationMinutes: z.number().int().min(1).max(1430),
  timeZone: z.string().max(64).optional().describe('IANA name; the device’s own when absent'),
});

/** What a model must keep to on this device; stricter of these and the package's gates counts. */
export const policySchema = z.object({
  precision: z.enum(['auto', 'int8', 'fp16', 'fp32']).default('auto'),
  maxAccuracyDrop: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe('share of the task metric: 0.01 is what agent fit calls one point'),
  minSqnrDb: z.number().optional(),
  maxP90Ms: z.number().positive().optional(),
  maxRssBytes: z.number().int().positive().optional(),
  maxCelsius: z.number().optional().describe('do not start, and do not stay, above it'),
  calibration: z
    .enum(calibrationSources)
    .optional()
    .describe(
      "recorded: the device's own inputs, where it has kept enough of them; absent: what the package says",
    ),
});

const limitsSchema = z.object({
  bytesPerSecond: z.number().int().positive().optional(),
  phaseSeconds: z
    .partialRecord(
      z.enum(jobPhases),
      z
        .number()
        .positive()
        .max(7 * DAY_SECONDS),
    )
    .optional()
    .describe('how long a phase may take, instead of the defaults in docs/jobs.md'),
});

const common = {
  type: z.literal('job'),
  jobId: id,
  rolloutId: id.optional(),
  wave: z.number().int().nonnegative().optional(),
  notBefore: z.iso.datetime().optional(),
  window: windowSchema.optional(),
  jitterSeconds: z.number().min(0).max(DAY_SECONDS).optional().describe('waits up to so long'),
  limits: limitsSchema.optional(),
  dryRun: z.boolean().optional().describe('stops before anything changes'),
  epoch: z.number().int().nonnegative().optional().describe('of the controller that issued it'),
};

const releaseSchema = z.object({
  name: id,
  version: id,
  releaseCounter: z.number().int().nonnegative(),
  manifestSha256: hex64.optional().describe('which package: its manifest in the repository'),
});

const base = signedPartSchema.extend(common);

export const deployJobSchema = base.extend({
  jobType: z.literal('deploy'),
  model: releaseSchema,
  policy: policySchema.optional(),
  probeSeconds: z.number().min(0).max(DAY_SECONDS).optional().describe('soak after the switch'),
  onFailure: z.enum(['rollback', 'keep']).optional(),
});

export const rollbackJobSchema = base.extend({
  jobType: z.literal('rollback'),
  model: z.object({ name: id }).describe('to the version this device ran before'),
});

export const fitJobSchema = base.extend({
  jobType: z.literal('fit'),
  model: z.object({ name: id }).describe('the model that is installed, fitted again'),
  policy: policySchema.optional(),
});

export const benchJobSchema = base.extend({
  jobType: z.literal('bench'),
  model: z.object({ name: id }),
});

export const configJobSchema = base.extend({
  jobType: z.literal('config'),
  settings: z.record(z.string(), z.unknown()),
});

export const collectJobSchema = base.extend({
  jobType: z.literal('collect'),
  lines: z.number().int().min(1).max(10_000).optional(),
});

export const selfcheckJobSchema = base.extend({ jobType: z.literal('selfcheck') });

export const selfupdateJobSchema = base.extend({
  jobType: z.literal('selfupdate'),
  agent: z.object({ version: id, releaseCounter: z.number().int().nonnegative() }),
});

/** The signed part of a job document. */
export const jobDocumentSchema = z
  .discriminatedUnion('jobType', [
    deployJobSchema,
    rollbackJobSchema,
    fitJobSchema,
    benchJobSchema,
    configJobSchema,
    collectJobSchema,
    selfcheckJobSchema,
    selfupdateJobSchema,
  ])
  .describe('what a device is told to do');

const timestamp = z.iso.datetime({ precision: 3 });

/** Retained at `edgefit/v1/d/{id}/up/job/{jobId}`. A lower `seq` than one already seen is history. */
export const jobRecordSchema = z
  .looseObject({
    schema: z.literal('edgefit/job/1'),
    deviceId: id,
    jobId: id,
    jobType: z.string(),
    rolloutId: id.nullable(),
    digest: hex64.nullable().describe('of the signed document; null where it could not be read'),
    seq: z.number().int().positive().describe('strictly grows within a job'),
    status: z.enum(jobStatuses),
    phase: z.string().describe('one of the phases; more may come'),
    attempt: z.number().int().positive(),
    outcome: z.enum(jobOutcomes).nullable().describe('of a job that has ended'),
    reason: z.object({ code: z.string(), text: z.string() }).nullable(),
    progress: z.object({ done: z.number(), of: z.number() }).nullable(),
    result: z.record(z.string(), z.unknown()).nullable().describe('what was measured or found'),
    phases: z
      .record(z.string(), z.number())
      .describe('milliseconds spent in each phase so far, by the device'),
    ts: timestamp,
    mono: z.number().describe('milliseconds since boot'),
    bootId: z.string().nullable(),
  })
  .describe('how far a job is on a device');

export type JobType = (typeof jobTypes)[number];
export type JobPhase = (typeof jobPhases)[number];
export type JobStatus = (typeof jobStatuses)[number];
export type JobOutcome = (typeof jobOutcomes)[number];
export type JobDocument = z.infer<typeof jobDocumentSchema>;
export type DeployJob = z.infer<typeof deployJobSchema>;
export type FitJob = z.infer<typeof fitJobSchema>;
export type BenchJob = z.infer<typeof benchJobSchema>;
export type ConfigJob = z.infer<typeof configJobSchema>;
export type CollectJob = z.infer<typeof collectJobSchema>;
export type SelfupdateJob = z.infer<typeof selfupdateJobSchema>;
export type RollbackJob = z.infer<typeof rollbackJobSchema>;
export type JobRecord = z.infer<typeof jobRecordSchema>;
export type Policy = z.infer<typeof policySchema>;
export type JobWindow = z.infer<typeof windowSchema>;
