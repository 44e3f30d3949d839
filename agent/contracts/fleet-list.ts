import { z } from 'zod';
import { ID_PATTERN } from './ids.ts';
import { jobStatuses } from './job.ts';

/** A device of a fleet as an operator sees it. */
export const fleetDeviceSchema = z.looseObject({
  deviceId: z.string().regex(ID_PATTERN),
  state: z.enum(['online', 'offline', 'draining', 'silent']),
  session: z.int().positive().nullable(),
  lastSeenMs: z.number().nullable().describe('milliseconds since 1970'),
  class: z.string(),
  board: z.string(),
  arch: z.string(),
  tags: z.array(z.string()),
  agent: z.string(),
  model: z.looseObject({ name: z.string(), version: z.string(), precision: z.string() }).nullable(),
  p90Ms: z.number().nullable(),
  accuracy: z.object({ metric: z.string(), value: z.number() }).nullable(),
  celsius: z.number().nullable().describe('null until the device has sent telemetry'),
  throttled: z.boolean().nullable(),
  job: z
    .object({
      jobId: z.string(),
      jobType: z.string(),
      phase: z.string(),
      status: z.enum(jobStatuses),
    })
    .nullable(),
  cloned: z.boolean().describe('two machines go by this id'),
});

export const fleetListSchema = z
  .object({
    schema: z.literal('edgefit/fleet/1'),
    complete: z.boolean().describe('false: the broker keeps devices that it did not deliver'),
    devices: z.array(fleetDeviceSchema),
  })
  .describe('the devices of a fleet: agent fleet ls --json');

export type FleetList = z.infer<typeof fleetListSchema>;

const medianSchema = z.object({
  devices: z.int().nonnegative().describe('that have said so'),
  median: z.number().nullable(),
  max: z.number().nullable(),
});

/** What a whole fleet is doing at one moment. */
export const fleetSampleSchema = z
  .object({
    schema: z.literal('edgefit/fleet-sample/1'),
    ts: z.iso.datetime({ precision: 3 }),
    connected: z.boolean(),
    devices: z.int().nonnegative(),
    states: z.record(z.string(), z.int().nonnegative()),
    precisions: z.record(z.string(), z.int().nonnegative()).describe('devices by what they run'),
    celsius: medianSchema,
    throttled: z.int().nonnegative(),
    p90Ms: medianSchema,
    openJobs: z.record(z.string(), z.int().nonnegative()).describe('by phase'),
    messagesPerSecond: z.number().nonnegative(),
    telemetryPerSecond: z.number().nonnegative(),
  })
  .describe('a fleet at one moment: agent fleet watch --json');

export type FleetSample = z.infer<typeof fleetSampleSchema>;
