import { z } from 'zod';
import { methods } from './bench.ts';
import { precisions, runtimeNames } from './facts.ts';
import { ID_PATTERN } from './ids.ts';
import { calibrationSources } from './manifest.ts';

const timestamp = z.iso.datetime({ precision: 3 });

/** One candidate, as records of jobs have it, too. */
export const decisionRowSchema = z.object({
  id: z.string().describe('runtime/precision-method/tTHREADS'),
  verdict: z.string(),
  why: z.string(),
  bytes: z.number().nullable().optional(),
  p90Ms: z.number().nullable(),
  sqnrDb: z.number().nullable(),
  accuracyDrop: z.number().nullable().describe('share of the task metric, against float'),
});

/**
 * Retained at `edgefit/v1/d/{id}/up/decision/{model}` for as long as the model runs there: it outlives
 * the job that brought it.
 */
export const deviceDecisionSchema = z
  .looseObject({
    schema: z.literal('edgefit/device-decision/1'),
    deviceId: z.string().regex(ID_PATTERN),
    ts: timestamp.describe('when this message was made'),
    model: z.string().regex(ID_PATTERN),
    version: z.string(),
    releaseCounter: z.int().nonnegative(),
    digest: z.string().describe('of the release, as in activeModel of the twin'),
    decidedAt: z.string().describe('ISO 8601'),
    agent: z.string().describe('version of the agent that decided'),
    chosen: z.object({
      id: z.string(),
      precision: z.enum(precisions),
      method: z.enum(methods),
      runtime: z.enum(runtimeNames),
      threads: z.int().positive(),
      bytes: z.int(),
      reason: z.string(),
    }),
    calibration: z.object({
      source: z.enum([...calibrationSources, 'none']),
      samples: z.int().nonnegative(),
    }),
    table: z.array(decisionRowSchema).describe('what it was measured against, shortened'),
  })
  .describe('which precision of a model a device has chosen, and why');

export type DeviceDecision = z.infer<typeof deviceDecisionSchema>;
export type DecisionRow = z.infer<typeof decisionRowSchema>;
