/** Whose fault it is: `input` (bad usage, file or samples; exit code 2) or `failure` (exit code 1). */
export type ErrorKind = 'input' | 'failure';

/**
 * Base of every error this program raises on purpose. Each boundary has one subclass with its own
 * union of codes. The message is one line: what, where, what to do.
 */
export class AgentError extends Error {
  override readonly name: string = 'AgentError';
  readonly code: string;
  readonly kind: ErrorKind;

  constructor(
    code: string,
    message: string,
    options?: { readonly cause?: unknown; readonly kind?: ErrorKind },
  ) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.kind = options?.kind ?? 'input';
  }
}

/** The message of anything thrown. Read by shape: errors from another realm fail `instanceof`. */
export function messageOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'message' in error) {
    return String(error.message);
  }
  return String(error);
}

/** The `code` of anything thrown (`ENOENT`, our own codes), or undefined. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
