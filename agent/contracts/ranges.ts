import { z } from 'zod';

/** Activation ranges collected on a device, `edgefit/ranges/1`; files of several devices merge. */

const MAX_TENSORS = 100_000;
const MAX_RANK = 32;

/** Text that no honest file reaches: 4096 bins or 65536 channels at most. */
const packed = z.string().max(2_000_000);

export const histogramSchema = z.object({
  exponent: z.number().int().min(-149).max(1024).describe('the bin width is 2^exponent'),
  first: z.number().int().describe('bin k holds k * width to before (k + 1) * width'),
  counts: packed.describe('counts of consecutive bins as LEB128 varints, base64'),
});

export const channelsSchema = z.object({
  count: z.number().int().nonnegative().describe('values per channel'),
  sums: packed.describe('one float64 per channel, little-endian, base64'),
});

export const tensorRangesSchema = z
  .object({
    name: z.string(),
    dtype: z.string(),
    shape: z.array(z.number().int().nonnegative()).max(MAX_RANK),
    samples: z.number().int().nonnegative(),
    count: z.number().int().nonnegative().describe('finite values'),
    nonFinite: z.number().int().nonnegative().describe('NaN and infinite values, else ignored'),
    min: z.number().nullable().describe('null when no value was finite'),
    max: z.number().nullable(),
    average: z
      .object({ min: z.number(), max: z.number(), samples: z.number().int().nonnegative() })
      .describe('moving average of the extremes of single samples'),
    histogram: histogramSchema.nullable(),
    channels: channelsSchema.nullable(),
  })
  .refine(({ count, min, max }) => (count === 0) === (min === null || max === null), {
    message: 'must be null exactly when count is 0',
    path: ['min'],
  })
  .refine(({ min, max }) => min === null || max === null || min <= max, {
    message: 'must not be above max',
    path: ['min'],
  });

export const rangesSchema = z.object({
  schema: z.literal('edgefit/ranges/1'),
  model: z.object({
    name: z.string(),
    sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits'),
  }),
  samples: z.number().int().nonnegative(),
  tensors: z.array(tensorRangesSchema).max(MAX_TENSORS),
});

export type RangesFile = z.infer<typeof rangesSchema>;
export type TensorRanges = z.infer<typeof tensorRangesSchema>;
