import { z } from 'zod';
import { PhaseError } from '../phase-work.ts';

const digest = z.string().regex(/^[0-9a-f]{64}$/);

/** What phases leave in the journal for later ones; it comes from the disk, so it is checked again. */
const findingsSchema = z.object({
  /** The release that a `fit` job fits again. */
  model: z
    .object({ name: z.string(), version: z.string(), releaseCounter: z.number().int() })
    .optional(),
  /** Of all files of the verified package. */
  packageDigest: digest.optional(),
  /** Which of the fitted models. */
  fitted: digest.optional(),
  /** The release to activate. */
  digest: digest.optional(),
  /** What both links named before, for the way back. */
  before: digest.nullable().optional(),
  previousBefore: digest.nullable().optional(),
});

export type Findings = z.infer<typeof findingsSchema>;

/** Throws PhaseError (`journal_incomplete`) when a finding is not of its kind. */
export function readFindings(data: Readonly<Record<string, unknown>>): Findings {
  const parsed = findingsSchema.safeParse(data);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join('.') ?? '';
  throw new PhaseError('journal_incomplete', `${where} in the journal is not as expected`);
}

/** A finding that an earlier phase must have left. */
export function needed<T>(value: T | undefined, name: string): T {
  if (value !== undefined) return value;
  throw new PhaseError('journal_incomplete', `the journal does not have ${name}`);
}
