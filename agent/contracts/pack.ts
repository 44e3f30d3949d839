import { z } from 'zod';
import { packedFileSchema, variantSchema } from './manifest.ts';

/** What `agent model pack` put into a package. */
export const packSchema = z.object({
  schema: z.literal('edgefit/pack/1'),
  output: z.string().describe('the folder'),
  manifest: z.string().describe('the manifest in it, relative'),
  name: z.string(),
  version: z.string(),
  sha256: z.string().describe('of the manifest, which holds that of every other file'),
  bytes: z.number().int().describe('all files together, the manifest included'),
  files: z.array(packedFileSchema),
  variants: z.array(variantSchema),
  samples: z.object({
    calibration: z.number().int().nullable(),
    evaluation: z.number().int().nullable(),
  }),
  compiler: z
    .object({
      version: z.string().nullable(),
      seconds: z.number(),
      onChipBytes: z.number().nullable().describe('parameters that the chip keeps'),
      offChipBytes: z.number().nullable().describe('parameters that it fetches every time'),
      operators: z.array(z.object({ op: z.string(), count: z.number().int(), status: z.string() })),
    })
    .optional()
    .describe('of edgetpu_compiler, where it was called'),
  warnings: z.array(z.string()),
});

export type PackReport = z.infer<typeof packSchema>;
export type CompilerReport = NonNullable<PackReport['compiler']>;
