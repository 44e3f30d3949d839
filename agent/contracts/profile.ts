import { z } from 'zod';
import { acceleratorKinds, precisions, runtimeNames } from './facts.ts';

/** A hardware profile, `edgefit/profile/1`: what is worth trying on a kind of machine, and why. */

const noted = {
  runtimes: z
    .array(z.enum(runtimeNames))
    .min(1)
    .optional()
    .describe('only with these runtimes; with every runtime of the profile when absent'),
  why: z.string().min(1),
  source: z.string().min(1).describe('where this is known from'),
};

export const integerSchemeSchema = z.strictObject({
  precision: z.literal('int8'),
  method: z.enum(['static', 'dynamic']),
  activations: z.enum(['u8', 's8']),
  weights: z.enum(['u8', 's8']),
  perChannel: z.boolean(),
  reduceRange: z.boolean().describe('7-bit weights'),
  ...noted,
});

export const floatSchemeSchema = z.strictObject({
  precision: z.enum(['fp16', 'fp32']),
  method: z.enum(['fp16', 'none']),
  ...noted,
});

export const matchSchema = z
  .strictObject({
    boards: z.array(z.string().min(1)).default([]).describe('one of these board ids'),
    compatible: z
      .array(z.string().min(1))
      .default([])
      .describe(
        'one of these device-tree compatible strings; a board that has no id yet takes that of the profile',
      ),
    accelerators: z.array(z.enum(acceleratorKinds)).default([]).describe('all of these present'),
    requiresFeatures: z.array(z.string().min(1)).default([]).describe('all of these ISA features'),
    requiresAnyFeature: z.array(z.string().min(1)).default([]).describe('at least one of these'),
    lacksFeatures: z.array(z.string().min(1)).default([]).describe('none of these'),
    arch: z.string().min(1).optional().describe('as in the facts: x64, arm64, arm'),
  })
  .describe('all of the rules given must hold; no rules match every machine');

export const gainSchema = z
  .strictObject({
    precision: z.enum(precisions),
    over: z.enum(precisions),
    runtimes: z.array(z.enum(runtimeNames)).min(1).describe('where this holds'),
    min: z.number().min(0).max(1).describe('0.1: at least 10 % faster'),
    why: z.string().min(1),
    source: noted.source,
  })
  .describe('how much faster a precision must be than another, on the same runtime, to be chosen');

export const calibrationSchema = z
  .strictObject({
    memoryBytesMax: z
      .number()
      .int()
      .min(2 ** 20)
      .describe('tensor values that are held at once; with less there are more passes'),
    memoryFraction: z
      .number()
      .gt(0)
      .max(1)
      .describe('and no more than this share of the memory that is free'),
    why: z.string().min(1),
  })
  .describe('memory for calibration, beside that of the model');

export const thermalSchema = z.strictObject({
  throttleCelsius: z.number().describe('from here on the board runs slower'),
  sensors: z
    .array(z.string().min(1))
    .min(1)
    .describe('how the names of the zones begin that this is about'),
  why: z.string().min(1),
  source: noted.source,
});

export const powerSchema = z.strictObject({
  supply: z.string().min(1).describe('what it must be fed with, for people'),
  totalRail: z
    .string()
    .min(1)
    .nullable()
    .describe('the power rail of the whole board; null where nothing measures it'),
  underVoltage: z.boolean().describe('whether the board tells when its supply is too weak'),
  source: noted.source,
});

export const profileSchema = z.strictObject({
  $schema: z.string().optional(),
  schema: z.literal('edgefit/profile/1'),
  id: z.string().regex(/^[a-z0-9-]+$/, 'use a-z 0-9 -'),
  name: z.string().min(1).describe('for people'),
  match: matchSchema,
  precisions: z
    .array(z.enum(precisions))
    .min(1)
    .describe('in the order to try; schemes of others come last, on the runtimes that they name'),
  runtimes: z.array(z.enum(runtimeNames)).min(1).describe('the best first'),
  schemes: z
    .array(z.discriminatedUnion('precision', [integerSchemeSchema, floatSchemeSchema]))
    .min(1)
    .describe('worth trying here, the most promising first'),
  threads: z
    .strictObject({
      max: z.number().int().positive().nullable().describe('null: every usable core'),
      why: z.string().min(1),
    })
    .describe('the most threads worth using'),
  gains: z.array(gainSchema).default([]),
  calibration: calibrationSchema.optional(),
  thermal: thermalSchema.optional(),
  power: powerSchema.optional(),
  notWorthTrying: z
    .array(
      z.strictObject({
        precision: z.enum(precisions),
        runtimes: z
          .array(z.enum(runtimeNames))
          .min(1)
          .optional()
          .describe('only with these runtimes; with every one when absent'),
        why: z.string().min(1),
      }),
    )
    .default([]),
});

export type HardwareProfile = z.infer<typeof profileSchema>;
export type ProfileScheme = HardwareProfile['schemes'][number];
export type ProfileGain = HardwareProfile['gains'][number];
export type ThermalLimit = NonNullable<HardwareProfile['thermal']>;
export type ProfileMatch = HardwareProfile['match'];
