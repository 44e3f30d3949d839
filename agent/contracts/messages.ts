import { z } from 'zod';
import { acceleratorKinds, factsSchema, precisions, runtimeNames } from './facts.ts';
import { ID_PATTERN } from './ids.ts';

/**
 * Messages between a device and its operators, JSON in UTF-8 over MQTT. Nothing essential travels
 * in MQTT 5 properties. Readers keep fields that they do not know: fields may be added.
 */

const id = z.string().regex(ID_PATTERN);
const timestamp = z.iso.datetime({ precision: 3 }).describe('RFC 3339, UTC, milliseconds');

/** Versions of a job document are whole numbers; a device takes those from `min` to `max`. */
export const jobTypeSchema = z.object({
  type: z.string(),
  min: z.int().positive(),
  max: z.int().positive(),
});

/** Retained at `edgefit/v1/d/{id}/up/birth`: what this device is and what it can run. */
export const birthSchema = z
  .looseObject({
    schema: z.literal('edgefit/birth/1'),
    deviceId: id,
    ts: timestamp.describe(
      'when this message was made, by the clock of the device: RFC 3339, UTC, milliseconds',
    ),
    session: z
      .number()
      .int()
      .positive()
      .nullable()
      .describe('number of the daemon session, as in up/status; null from a one-shot command'),
    agent: z.string().min(1).describe('version of the agent'),
    precisions: z.array(z.enum(precisions)).describe('worth trying on this device, best first'),
    runtimes: z.array(z.enum(runtimeNames)),
    accelerators: z.array(z.enum(acceleratorKinds)).describe('those that can be used right now'),
    schemas: z.array(z.string()).describe('names of the documents this agent writes'),
    facts: factsSchema.describe('the probe'),
    bootId: z.string().nullable().optional().describe('changes with every boot of the machine'),
    tags: z.array(id).optional().describe('for selecting devices in rollouts'),
    jobs: z
      .array(jobTypeSchema)
      .optional()
      .describe('what it can be told to do; none from a one-shot command'),
    keyIds: z
      .array(z.string())
      .optional()
      .describe('of the keys whose signatures it accepts on jobs and settings'),
  })
  .describe('what a device is and what it can run');

/** One message that could not be sent yet, kept on the device. Never holds credentials. */
export const unsentSchema = z
  .object({
    schema: z.literal('edgefit/unsent/1'),
    broker: z.string().describe('scheme, host and port of the broker it is meant for'),
    savedAt: timestamp,
    message: z.object({
      topic: z.string(),
      payload: z.string().describe('the JSON text, byte for byte as it will be published'),
      retain: z.boolean(),
      schema: z.string().describe('schema of the payload'),
    }),
  })
  .describe('a message waiting on the device for its broker');

export type JobType = z.infer<typeof jobTypeSchema>;
export type Birth = z.infer<typeof birthSchema>;
export type Unsent = z.infer<typeof unsentSchema>;
