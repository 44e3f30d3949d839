import { z } from 'zod';
import {
  biasNames,
  formatNames,
  interfaceNames,
  observerNames,
  roundingNames,
  rowScaleNames,
  schemeNames,
} from './scheme.ts';

/** How to quantize, written down: `edgefit/recipe/1`, for `agent quantize --recipe`. */

const MAX_RULES = 10_000;
const MAX_NAMES = 100_000;
const number = z.number();

export const ruleSchema = z
  .strictObject({
    op: z.string().optional().describe('operator, such as Conv; every one when absent'),
    name: z
      .string()
      .optional()
      .describe('name of the node or of its first output; * stands for any characters'),
    precision: z.enum(['integer', 'float']).optional(),
    observer: z.enum(observerNames).optional().describe("how its outputs' ranges are taken"),
    perChannel: z.boolean().optional().describe('one weight scale per output channel'),
    range: z
      .tuple([number, number])
      .optional()
      .describe('[min, max] of its outputs, in place of what was observed'),
  })
  .refine(({ op, name }) => op !== undefined || name !== undefined, {
    message: 'needs op or name',
  })
  .refine(({ range }) => range === undefined || range[0] < range[1], {
    message: 'min must be below max',
    path: ['range'],
  });

export const recipeSchema = z.strictObject({
  schema: z.literal('edgefit/recipe/1'),
  scheme: z.enum(schemeNames),
  activations: z.enum(['u8', 's8', 's16']).nullable().optional(),
  perChannel: z.boolean().optional(),
  reduceRange: z.boolean().optional().describe('weights in 7 bits'),
  observer: z.enum(observerNames).optional(),
  format: z.enum(formatNames).optional(),
  io: z.enum(interfaceNames).optional().describe('TFLite: type of inputs and outputs'),
  equalize: z.boolean().optional().describe('channels are brought to one range first'),
  smooth: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe(
      'how much of that goes from activations into weights; chosen by prediction if absent',
    ),
  rounding: z.enum(roundingNames).optional().describe('adaptive: for the output of each layer'),
  biases: z.enum(biasNames).optional().describe('measured: so that layers agree with float'),
  rowScales: z
    .enum(rowScaleNames)
    .optional()
    .describe('TFLite: matrix products with a scale per output; few: those that gain most'),
  excluded: z.array(z.string()).max(MAX_NAMES).optional().describe('nodes to leave in float'),
  rules: z
    .array(ruleSchema)
    .max(MAX_RULES)
    .optional()
    .describe('every rule that matches counts; the last one that sets a field wins'),
});

export type Recipe = z.infer<typeof recipeSchema>;
