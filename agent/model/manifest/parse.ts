import type { z } from 'zod';
import { type Manifest, manifestSchema } from '../../contracts/manifest.ts';
import { AgentError, messageOf } from '../../util/errors.ts';

export type ManifestErrorCode = 'not-json' | 'invalid';

/** A manifest that cannot be used; the message names the file and the field. */
export class ManifestError extends AgentError {
  override readonly name = 'ManifestError';

  constructor(code: ManifestErrorCode, message: string, cause?: unknown) {
    super(code, message, { cause, kind: 'input' });
  }
}

/** More text than this is not a manifest. */
const MAX_TEXT_LENGTH = 32 * 1024 * 1024;

/**
 * Reads a model package manifest (`edgefit/model/1`). Pure: `path` only names the file in errors.
 * Throws ManifestError with one line that says which field is wrong.
 */
export function parseManifest(text: string, path: string): Manifest {
  if (text.length > MAX_TEXT_LENGTH) {
    throw new ManifestError('invalid', `${path}: too large for a manifest`);
  }
  let value: unknown;
  try {
    value = JSON.parse(withoutMark(text));
  } catch (error) {
    throw new ManifestError('not-json', `${path}: not JSON: ${messageOf(error)}`, error);
  }
  const result = manifestSchema.safeParse(value);
  if (result.success) return result.data;
  throw new ManifestError('invalid', `${path}: ${describeIssue(result.error.issues[0])}`);
}

/** Editors on Windows begin a text with a byte order mark. */
export function withoutMark(text: string): string {
  return text.replace(/^\uFEFF/, '');
}

type Issue = z.core.$ZodIssue;

/** `inputs.image_1.image.width: Too small ...`: the field first, then what is wrong with it. */
function describeIssue(issue: Issue | undefined): string {
  if (issue === undefined) return 'not a manifest';
  const { path, message } = innermost(issue);
  const field = path.map(String).join('.');
  const oneLine = message.replace(/\s+/g, ' ');
  return field === '' ? oneLine : `${field}: ${oneLine}`;
}

interface Place {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/** A union reports one list of issues per branch; the branch that got deepest is the one meant. */
function innermost(issue: Issue): Place {
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return issue;
  const branches = issue.errors.map((issues) => ({
    depth: Math.min(...issues.map((one) => one.path.length)),
    first: issues[0],
  }));
  const depth = Math.max(...branches.map((branch) => branch.depth));
  const meant = branches.filter((branch) => branch.depth === depth);
  const only = meant.length === 1 ? meant[0]?.first : undefined;
  if (only === undefined) {
    const choices = 'must hold exactly one of image, array, audio, constant';
    return { path: issue.path, message: issue.path[0] === 'inputs' ? choices : issue.message };
  }
  const inner = innermost(only);
  return { path: [...issue.path, ...inner.path], message: inner.message };
}
