import { z } from 'zod';
import { precisions, runtimeNames } from './facts.ts';
import { ID_PATTERN } from './ids.ts';

const hex64 = z.string().regex(/^[0-9a-f]{64}$/);

/** A path inside a release: no way out of it. */
const inside = z
  .string()
  .min(1)
  .max(1024)
  .refine((path) => !path.startsWith('/') && !path.split('/').includes('..'), 'must stay inside');

/**
 * release.json of a release folder, written last: a folder without one is not complete. It lists every
 * file, so that what is activated can be checked byte for byte, also after a power cut.
 */
export const releaseSchema = z
  .object({
    schema: z.literal('edgefit/release/1'),
    digest: hex64.describe('names the folder: SHA-256 over what it is and the list of files'),
    model: z.string().regex(ID_PATTERN),
    version: z.string().regex(ID_PATTERN),
    releaseCounter: z.number().int().nonnegative(),
    /** The model that applications load. */
    file: inside,
    precision: z.enum(precisions),
    runtime: z.enum(runtimeNames),
    files: z
      .array(z.object({ path: inside, bytes: z.number().int().nonnegative(), sha256: hex64 }))
      .min(1)
      .max(200_000),
  })
  .describe('a model that this device has fitted and may run');

export type Release = z.infer<typeof releaseSchema>;
