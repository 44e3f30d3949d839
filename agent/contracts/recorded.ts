import { z } from 'zod';
import { elementTypes } from './element-types.ts';
import { ID_PATTERN } from './ids.ts';
import { imageInputSchema } from './manifest.ts';

/**
 * What an application hands over so that a model is calibrated with what its device really sees: the
 * header of a sample, the set that is kept, and what `agent calib` prints.
 */

const MAX_RANK = 8;
const MAX_INPUTS = 256;
const MAX_NAME = 1024;

const model = z.string().regex(ID_PATTERN);
const inputName = z.string().min(1).max(MAX_NAME);
const count = z.number().int().nonnegative();

/** An input of a model that samples bring values for. */
export const modelInputSchema = z.object({
  name: inputName,
  dtype: z.enum(elementTypes),
  shape: z
    .array(z.union([z.number().int(), z.string(), z.null()]))
    .max(MAX_RANK)
    .describe('a name or null where the model leaves a dimension open'),
  image: imageInputSchema.optional().describe('uint8 arrays are pictures: height, width, channels'),
});

/** The first line of a message; the bytes of the inputs follow in this order, little-endian. */
export const recordHeaderSchema = z
  .object({
    model,
    inputs: z
      .array(
        z.object({
          name: inputName,
          dtype: z.enum(elementTypes),
          shape: z.array(z.number().int().positive()).max(MAX_RANK),
        }),
      )
      .min(1)
      .max(MAX_INPUTS)
      .optional()
      .describe('of one sample; left out to ask what the model takes'),
  })
  .describe('a sample for calibration, over the local socket');

/** set.json beside the samples of a model. */
export const recordedSetSchema = z
  .object({
    schema: z.literal('edgefit/recorded/1'),
    id: z
      .string()
      .regex(/^[0-9a-f]{16}$/)
      .describe('another one after the set was cleared'),
    model,
    inputs: z.array(modelInputSchema).min(1).max(MAX_INPUTS),
    seen: count.describe('samples that were offered, kept or not'),
    since: z.iso.datetime().describe('when the set was begun'),
  })
  .describe('inputs of an application that are kept on its device');

export const calibListSchema = z
  .object({
    schema: z.literal('edgefit/calib-ls/1'),
    folder: z.string(),
    sets: z.array(
      z.object({
        model,
        samples: count,
        bytes: count,
        seen: count,
        since: z.iso.datetime(),
        inputs: z.array(modelInputSchema),
      }),
    ),
  })
  .describe('what is recorded on this device');

export const calibRecordSchema = z
  .object({
    schema: z.literal('edgefit/calib-record/1'),
    model,
    offered: count,
    kept: count.describe('of those offered now; later ones may take their place'),
    seen: count.describe('since the set was begun'),
    held: count.describe('samples in the set now'),
  })
  .describe('what became of samples that were handed over');

export const calibClearSchema = z
  .object({ schema: z.literal('edgefit/calib-clear/1'), removed: z.array(model) })
  .describe('models whose recorded samples were removed');

export type ModelInput = z.infer<typeof modelInputSchema>;
export type RecordHeader = z.infer<typeof recordHeaderSchema>;
export type RecordedSet = z.infer<typeof recordedSetSchema>;
export type CalibList = z.infer<typeof calibListSchema>;
export type CalibRecord = z.infer<typeof calibRecordSchema>;
export type CalibClear = z.infer<typeof calibClearSchema>;
