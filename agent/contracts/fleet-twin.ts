import { z } from 'zod';
import { logLevels } from './config.ts';
import { precisions } from './facts.ts';
import { ID_PATTERN } from './ids.ts';

const timestamp = z.iso.datetime({ precision: 3 });

/** What an operator may set from afar: nothing that could cut the device off. */
export const settingsSchema = z.strictObject({
  logLevel: z.enum(logLevels).optional(),
  tags: z.array(z.string().regex(ID_PATTERN)).max(32).optional(),
});

/** The signed part of the document at `edgefit/v1/d/{id}/dn/twin`. */
export const desiredTwinSchema = z
  .looseObject({
    type: z.literal('twin'),
    deviceId: z.string().regex(ID_PATTERN),
    counter: z.int().nonnegative().describe('grows with every twin for this device'),
    expires: z.iso.datetime(),
    settings: settingsSchema,
  })
  .describe('settings that an operator wants a device to have');

export const activeModelSchema = z.object({
  name: z.string(),
  version: z.string(),
  precision: z.enum(precisions),
  digest: z.string(),
  releaseCounter: z.int().nonnegative(),
});

/** Retained at `edgefit/v1/d/{id}/up/twin`: what the device is doing and has been told. */
export const twinSchema = z
  .looseObject({
    schema: z.literal('edgefit/twin/1'),
    deviceId: z.string().regex(ID_PATTERN),
    ts: timestamp,
    rev: z.int().positive().describe('grows with every change: a lower one is older'),
    activeModel: activeModelSchema.nullable(),
    settings: z.object({
      counter: z.int().nonnegative().nullable().describe('of the desired twin that is in force'),
      applied: settingsSchema,
      refused: z
        .object({ counter: z.int().nullable(), code: z.string(), text: z.string() })
        .nullable()
        .describe('the last desired twin that was not accepted since, and why'),
    }),
    counters: z
      .object({
        job: z.int().nonnegative(),
        twin: z.int().nonnegative(),
        epoch: z.int().nonnegative().optional().describe('highest of a controller'),
      })
      .optional()
      .describe('highest of a signed document that the device has taken: the next is one more'),
    lastBench: z
      .object({
        benchId: z.string(),
        digest: z.string(),
        ts: timestamp,
        p90Ms: z.number().nullable().optional().describe('of what runs here'),
        accuracy: z
          .object({ metric: z.string(), value: z.number() })
          .nullable()
          .optional()
          .describe('on the stored samples of the package'),
      })
      .nullable()
      .describe('where the last benchmark report went'),
  })
  .describe('what a device runs and which settings it has');

export type Twin = z.infer<typeof twinSchema>;
export type DesiredTwin = z.infer<typeof desiredTwinSchema>;
export type Settings = z.infer<typeof settingsSchema>;
export type ActiveModel = z.infer<typeof activeModelSchema>;
