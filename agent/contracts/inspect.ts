import { z } from 'zod';
import { precisions } from './facts.ts';

const valueSchema = z.object({
  name: z.string(),
  dtype: z.string(),
  shape: z
    .array(z.union([z.number().int(), z.string(), z.null()]))
    .nullable()
    .describe('a string is a symbolic size, null an unnamed one; null as a whole: not declared'),
});

const weightSchema = {
  parameters: z.number().int().describe('constants that are read here first'),
  parameterBytes: z.number().int(),
};

export const inspectedModelSchema = z.object({
  name: z.string(),
  path: z.string(),
  sha256: z.string(),
  format: z.enum(['onnx', 'tflite']),
  bytes: z.number().int().describe('the file and all external data'),
  producer: z.string(),
  irVersion: z.number().int(),
  opsets: z.array(z.object({ domain: z.string(), version: z.number().int() })),
  precision: z.enum(precisions).describe('of the weights; int8 for every quantized model'),
  form: z
    .enum(['qdq', 'qoperator', 'dynamic', 'weight-only', 'simulated'])
    .nullable()
    .describe('how it is quantized; null for float models'),
  inputs: z.array(valueSchema),
  outputs: z.array(valueSchema),
  parameters: z.array(
    z.object({ dtype: z.string(), count: z.number().int(), bytes: z.number().int() }),
  ),
  ops: z.array(z.object({ op: z.string(), nodes: z.number().int(), ...weightSchema })),
  layers: z
    .array(z.object({ node: z.string(), op: z.string(), ...weightSchema }))
    .describe('nodes with parameters, the heaviest first'),
});

const rangeSchema = z.object({ min: z.number(), max: z.number() }).nullable();

export const layerErrorSchema = z.object({
  tensor: z.string().describe('its name in the float model'),
  node: z.string().describe('what makes it in the float model'),
  op: z.string(),
  integer: z.boolean().describe('whether the quantized model computes it with integers'),
  output: z.boolean().describe('whether it is an output of the model'),
  sqnrDb: z
    .number()
    .nullable()
    .describe('10 log10(sum ref^2 / sum (ref - x)^2), all errors up to here; null when identical'),
  ownSqnrDb: z
    .number()
    .nullable()
    .optional()
    .describe(
      'the same with the float values at the inputs of the layer: the error that it adds itself; absent for ops that only move values, and when it could not be measured',
    ),
  inputSqnrDb: z
    .number()
    .nullable()
    .optional()
    .describe(
      'sqnrDb of the worst compared tensor that this one is made from; absent for the first',
    ),
  maxAbsError: z.number(),
  floatRange: rangeSchema.describe('smallest and largest finite value in the float model'),
  quantizedRange: rangeSchema.describe('the same in the quantized one'),
  values: z.number().int().describe('values compared, all samples together'),
});

export const comparisonSchema = z.object({
  samples: z.number().int(),
  source: z.string().describe('what the samples are'),
  sqnrDb: z
    .number()
    .nullable()
    .optional()
    .describe('over all outputs; null when identical, absent when no output could be compared'),
  layers: z.array(layerErrorSchema).describe('in the order of the float graph'),
  worst: z.array(z.string()).describe('tensors of the layers that add most error, worst first'),
  unmatched: z
    .array(z.object({ tensor: z.string(), node: z.string(), op: z.string(), reason: z.string() }))
    .describe('tensors of the float model that could not be compared'),
});

export const inspectSchema = z.object({
  schema: z.literal('edgefit/inspect/1'),
  model: inspectedModelSchema,
  integerCoverage: z
    .number()
    .nullable()
    .describe('share of multiply-accumulates that ran in integer kernels; null when unknown'),
  quantized: inspectedModelSchema
    .optional()
    .describe('the second model; integerCoverage is then of this one'),
  comparison: comparisonSchema.optional(),
  warnings: z.array(z.string()),
});

export type InspectReport = z.infer<typeof inspectSchema>;
export type InspectedModel = z.infer<typeof inspectedModelSchema>;
export type Comparison = z.infer<typeof comparisonSchema>;
export type LayerError = z.infer<typeof layerErrorSchema>;
