import { z } from 'zod';
import { benchSchema, methods, rowVariantSchema } from './bench.ts';
import { precisions, runtimeNames } from './facts.ts';
import { modelInputSchema } from './recorded.ts';

/** The record that lies beside a kept model: what was chosen, and everything it was measured against. */
export const decisionSchema = z.object({
  schema: z.literal('edgefit/decision/1'),
  decidedAt: z.string().describe('ISO 8601'),
  agent: z.string().describe('version of the agent'),
  chosen: z.object({
    id: z.string().describe('a candidate of `bench`'),
    file: z.string().describe('the kept model, relative to this record'),
    companions: z.array(z.string()).describe('files the model refers to (external weights)'),
    sha256: z.string().describe('of the file'),
    bytes: z.number().int(),
    precision: z.enum(precisions),
    method: z.enum(methods),
    runtime: z.enum(runtimeNames),
    threads: z.number().int().positive(),
    variant: rowVariantSchema.optional(),
    reason: z.string(),
  }),
  inputs: z
    .array(modelInputSchema)
    .optional()
    .describe('what samples for this model must bring; text and constants left out'),
  bench: benchSchema,
});

export type DecisionRecord = z.infer<typeof decisionSchema>;
