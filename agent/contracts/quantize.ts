import { z } from 'zod';
import { candidateSchema } from './bench.ts';
import { recipeSchema } from './recipe.ts';

export const quantizeSchema = z.object({
  schema: z.literal('edgefit/quantize/1'),
  output: z.string(),
  scheme: z.string(),
  bytes: z.number().int(),
  floatBytes: z.number().int(),
  seconds: z.number(),
  peakRssBytes: z.number().int(),
  integerCoverage: z.number().nullable(),
  sqnrDb: z
    .number()
    .nullable()
    .optional()
    .describe('against the float model on a few calibration samples; null: the same outputs'),
  ops: z.object({ integer: z.number(), fp16: z.number(), float: z.number() }),
  left: z.array(z.object({ node: z.string(), op: z.string(), reason: z.string() })),
  warnings: z.array(z.string()).optional().describe('what the user should know of the result'),
  recipe: recipeSchema.optional().describe('for --recipe: makes the same model again'),
  found: z
    .object({ kind: z.string(), changes: z.array(z.string()) })
    .optional()
    .describe('of a model that was quantized already: how, and what was changed'),
  made: z.string().optional().describe('what --to auto decided for'),
  candidates: z.array(candidateSchema).optional().describe('what --to auto measured'),
});

export type QuantizeReport = z.infer<typeof quantizeSchema>;
