import { z } from 'zod';

/** Model package manifest, `edgefit/model/1`. Paths are relative to the manifest. */

export const imageInputSchema = z.object({
  width: z.number().int().positive(),
  height: z.number().int().positive(),
  color: z.enum(['rgb', 'bgr', 'gray']).default('rgb'),
  layout: z.enum(['nchw', 'nhwc']).default('nchw'),
  mean: z.array(z.number()).min(1).default([0]),
  std: z
    .array(z.number().refine((n) => n !== 0, 'must not be zero'))
    .min(1)
    .default([1]),
  resize: z.enum(['stretch', 'crop']).default('stretch'),
});

export const audioInputSchema = z.object({
  rateHz: z.number().positive(),
  windowSamples: z.number().int().positive(),
  hopSamples: z.number().int().positive().optional(),
});

export const constantInputSchema = z.object({
  dtype: z.string(),
  shape: z.array(z.number().int().nonnegative()),
  data: z.array(z.union([z.number(), z.boolean(), z.string()])),
});

export const inputSchema = z.union([
  z.object({ image: imageInputSchema }).strict(),
  z.object({ constant: constantInputSchema }).strict(),
  z.object({ audio: audioInputSchema }).strict(),
  z.object({ array: z.object({}) }).strict(),
]);

export const sampleSetSchema = z.object({
  path: z.string(),
  from: z.number().int().nonnegative().optional(),
  to: z.number().int().positive().optional(),
});

export const taskSchema = z
  .object({
    kind: z.string(),
    output: z.string().optional(),
    labelOffset: z.number().int().default(0),
    blank: z.number().int().optional(),
  })
  .loose();

export const manifestSchema = z
  .object({
    schema: z.literal('edgefit/model/1'),
    name: z.string().min(1),
    version: z.string().optional(),
    model: z.string(),
    inputs: z.record(z.string(), inputSchema).default({}),
    task: taskSchema.optional(),
    samples: z
      .object({ calibration: sampleSetSchema.optional(), evaluation: sampleSetSchema.optional() })
      .optional(),
    published: z.record(z.string(), z.string()).optional(),
  })
  .loose();

export type Manifest = z.infer<typeof manifestSchema>;
export type InputSpec = z.infer<typeof inputSchema>;
export type ImageSpec = z.infer<typeof imageInputSchema>;
export type AudioSpec = z.infer<typeof audioInputSchema>;
export type SampleSetSpec = z.infer<typeof sampleSetSchema>;
export type TaskSpec = z.infer<typeof taskSchema>;
