import { z } from 'zod';

/** What became of a package: `agent model publish --json`. */
export const publishSchema = z
  .object({
    schema: z.literal('edgefit/publish/1'),
    model: z.string(),
    version: z.string(),
    platform: z.string().optional().describe('of an archive of the agent itself'),
    releaseCounter: z.number().int().describe('grows with every release of this model'),
    files: z.number().int(),
    bytes: z.number().int(),
  })
  .describe('a release that devices may be told to install');

export type PublishReport = z.infer<typeof publishSchema>;

/** What a device would believe: `agent model verify --json`. */
export const verifySchema = z
  .object({
    schema: z.literal('edgefit/verify/1'),
    url: z.string(),
    rootVersion: z.number().int(),
    targetsVersion: z.number().int(),
    expires: z
      .object({ root: z.string(), targets: z.string() })
      .describe('when devices refuse everything unless it is signed anew'),
    warnings: z.array(z.string()).describe('what is to be signed anew soon'),
    files: z.array(
      z.object({
        path: z.string(),
        bytes: z.number().int(),
        sha256: z.string(),
        releaseCounter: z.number().int().nullable(),
      }),
    ),
  })
  .describe('the signed files of a repository, each downloaded and found as signed');

export type VerifyReport = z.infer<typeof verifySchema>;

/** What a release is called; the rest of a manifest is read by whoever uses the package. */
export const packageNamesSchema = z.looseObject({
  name: z.string().optional(),
  version: z.string().optional(),
});

export type PackageNames = z.infer<typeof packageNamesSchema>;
