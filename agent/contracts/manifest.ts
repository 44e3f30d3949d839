import { z } from 'zod';
import { acceleratorKinds, precisions, runtimeNames } from './facts.ts';

/** Model package manifest, `edgefit/model/1`. Paths are relative to the manifest. */

const MAX_IMAGE_SIDE = 16_384;
const MAX_CHANNELS = 4;
const MAX_RANK = 8;
const MAX_CONSTANT_VALUES = 1_000_000;
const MAX_RATE_HZ = 768_000;
const MAX_WINDOW_SAMPLES = 50_000_000;
const MAX_VARIANTS = 64;
const MAX_FILES = 200_000;

/** A path of a file on this machine; an empty one would silently mean the manifest's own folder. */
const path = z.string().min(1).max(4096);

const perChannel = z.array(z.number()).min(1).max(MAX_CHANNELS);

export const imageInputSchema = z
  .object({
    width: z.number().int().positive().max(MAX_IMAGE_SIDE),
    height: z.number().int().positive().max(MAX_IMAGE_SIDE),
    color: z.enum(['rgb', 'bgr', 'gray']).default('rgb'),
    layout: z.enum(['nchw', 'nhwc']).default('nchw'),
    mean: perChannel.default([0]),
    std: z
      .array(z.number().refine((n) => n !== 0, 'must not be zero'))
      .min(1)
      .max(MAX_CHANNELS)
      .default([1]),
    resize: z.enum(['stretch', 'crop']).default('stretch'),
  })
  .superRefine((image, context) => {
    const channels = image.color === 'gray' ? 1 : 3;
    for (const field of ['mean', 'std'] as const) {
      if (image[field].length === 1 || image[field].length === channels) continue;
      const message = `must hold 1 or ${channels} numbers for color ${image.color}`;
      context.addIssue({ code: 'custom', path: [field], message });
    }
  });

export const audioInputSchema = z.object({
  rateHz: z.number().positive().max(MAX_RATE_HZ),
  windowSamples: z.number().int().positive().max(MAX_WINDOW_SAMPLES),
  hopSamples: z.number().int().positive().max(MAX_WINDOW_SAMPLES).optional(),
});

export const constantDtypes = [
  'float32',
  'float64',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'bool',
  'string',
] as const;

export const constantInputSchema = z
  .object({
    dtype: z.enum(constantDtypes),
    shape: z.array(z.number().int().nonnegative()).max(MAX_RANK),
    data: z.array(z.union([z.number(), z.boolean(), z.string()])).max(MAX_CONSTANT_VALUES),
  })
  .superRefine(({ shape, data }, context) => {
    const size = shape.reduce((product, n) => product * n, 1);
    if (size === data.length) return;
    const message = `holds ${data.length} values, but shape [${shape.join(', ')}] needs ${size}`;
    context.addIssue({ code: 'custom', path: ['data'], message });
  });

export const inputSchema = z.union([
  z.object({ image: imageInputSchema }).strict(),
  z.object({ constant: constantInputSchema }).strict(),
  z.object({ audio: audioInputSchema }).strict(),
  z.object({ array: z.object({}) }).strict(),
]);

export const sampleSetSchema = z
  .object({
    path,
    from: z.number().int().nonnegative().optional(),
    to: z.number().int().positive().optional(),
  })
  .refine(({ from, to }) => to === undefined || (from ?? 0) < to, {
    message: 'must be more than "from"',
    path: ['to'],
  });

export const taskSchema = z
  .object({
    kind: z.string(),
    output: z.string().optional(),
    labelOffset: z.number().int().default(0),
    blank: z.number().int().optional(),
  })
  .loose();

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hex digits');
const bytes = z.number().int().nonnegative();

export const variantSchema = z
  .object({
    path,
    precision: z.enum(precisions),
    runtime: z.enum(runtimeNames),
    accelerators: z
      .array(z.enum(acceleratorKinds))
      .optional()
      .describe('it runs on one of these only; on the CPU where absent'),
    ops: z
      .object({ accelerator: z.number().int(), cpu: z.number().int() })
      .optional()
      .describe('operators that the accelerator runs, and those left for the CPU'),
    sha256: sha256.optional(),
    bytes: bytes.optional(),
  })
  .loose()
  .describe('a version of the model that is ready to run; it is judged as those made here are');

/** Strict: a limit that this program does not know would not be enforced. */
export const gatesSchema = z
  .object({
    maxAccuracyDrop: z.number().min(0).max(100).optional().describe('points of the task metric'),
    minSqnrDb: z.number().min(-100).max(200).optional(),
    maxP90Ms: z.number().positive().optional(),
    maxRssBytes: z.number().positive().optional().describe('of the process that runs the model'),
  })
  .strict()
  .describe('what a version must keep to be taken; the command line may say otherwise');

/** What a model is calibrated with on a device. */
export const calibrationSources = ['package', 'recorded'] as const;

export const packagePolicySchema = z
  .object({
    calibration: z
      .enum(calibrationSources)
      .optional()
      .describe("recorded: the device's own inputs, where it has kept enough of them"),
  })
  .loose()
  .describe('what devices do with the package unless a job says otherwise');

/** Of a package that was packed: a plain path below the folder of the manifest. */
const packedPath = path.refine(
  (text) =>
    !text.startsWith('/') &&
    !text.includes('\\') &&
    text.split('/').every((part) => !['', '.', '..'].includes(part)),
  'must be a plain path inside the package',
);

export const packedFileSchema = z.object({ path: packedPath, sha256, bytes });

export const manifestSchema = z
  .object({
    schema: z.literal('edgefit/model/1'),
    name: z.string().min(1),
    version: z.string().optional(),
    model: path,
    inputs: z.record(z.string(), inputSchema).default({}),
    task: taskSchema.optional(),
    samples: z
      .object({ calibration: sampleSetSchema.optional(), evaluation: sampleSetSchema.optional() })
      .optional(),
    published: z.record(z.string(), path).optional(),
    labels: path.optional().describe('names of the classes, one a line'),
    variants: z.array(variantSchema).max(MAX_VARIANTS).optional(),
    gates: gatesSchema.optional(),
    policy: packagePolicySchema.optional(),
    files: z
      .array(packedFileSchema)
      .max(MAX_FILES)
      .optional()
      .describe('every other file of a packed package (agent model pack)'),
  })
  .loose();

export type Manifest = z.infer<typeof manifestSchema>;
export type InputSpec = z.infer<typeof inputSchema>;
export type ImageSpec = z.infer<typeof imageInputSchema>;
export type AudioSpec = z.infer<typeof audioInputSchema>;
export type ConstantSpec = z.infer<typeof constantInputSchema>;
export type SampleSetSpec = z.infer<typeof sampleSetSchema>;
export type TaskSpec = z.infer<typeof taskSchema>;
export type VariantSpec = z.infer<typeof variantSchema>;
export type CalibrationSource = (typeof calibrationSources)[number];
export type Gates = z.infer<typeof gatesSchema>;
export type PackedFile = z.infer<typeof packedFileSchema>;
