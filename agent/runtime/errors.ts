import { AgentError, type ErrorKind, codeOf, messageOf } from '../util/errors.ts';

const CODES = {
  /** The child process died: a signal, or an exit that nobody asked for. */
  CRASHED: 'failure',
  /** The child process did not answer in time and was killed. */
  HUNG: 'failure',
  /** The caller's signal was aborted, or the worker was closed, while a call was under way. */
  ABORTED: 'failure',
  /** Memory ran out: in the JavaScript heap, in native code, or for the kernel. */
  OUT_OF_MEMORY: 'failure',
  /** The child process could not be started, or has no such method. */
  START_FAILED: 'failure',
  /** A run failed inside the native library. */
  RUN_FAILED: 'failure',
  /** The model loads nowhere: damaged, cut short, or no valid graph. */
  INVALID_MODEL: 'input',
  /** The model is valid, but this runtime lacks an op, an opset or a kernel. */
  UNSUPPORTED: 'input',
  /** The model file, or the file with its weights, is not there. */
  MISSING_FILE: 'input',
  /** A feed has the wrong name, type or shape. */
  BAD_INPUT: 'input',
} as const satisfies Record<string, ErrorKind>;

export type RuntimeFailureCode = keyof typeof CODES;

/** Everything that can go wrong with a model that runs in a child process. */
export class RuntimeFailure extends AgentError {
  override readonly name = 'RuntimeFailure';
  /** The end of what the child wrote to stderr, where it crashed. */
  readonly stderr: string | undefined;

  constructor(
    code: RuntimeFailureCode,
    message: string,
    options?: { readonly cause?: unknown; readonly stderr?: string },
  ) {
    super(code, message, { cause: options?.cause, kind: CODES[code] });
    this.stderr = options?.stderr;
  }
}

/** An error as it travels from the child to the parent. */
export interface ErrorRecord {
  readonly code: string | undefined;
  readonly kind: ErrorKind | undefined;
  readonly message: string;
  readonly stack: string | undefined;
}

/** Any thrown value as a plain record, read by shape. */
export function toRecord(error: unknown): ErrorRecord {
  const shape = typeof error === 'object' && error !== null ? error : {};
  const kind = 'kind' in shape ? shape.kind : undefined;
  return {
    code: codeOf(error),
    kind: kind === 'input' || kind === 'failure' ? kind : undefined,
    message: messageOf(error),
    stack: 'stack' in shape && typeof shape.stack === 'string' ? shape.stack : undefined,
  };
}

/** The error that the parent throws for one that the child threw: same message, same code. */
export function fromRecord(record: ErrorRecord): AgentError {
  const { code = 'RUN_FAILED', message, stack } = record;
  const cause = stack === undefined ? undefined : new Error(stack);
  if (isRuntimeFailureCode(code)) return new RuntimeFailure(code, message, { cause });
  return new AgentError(code, message, { cause, kind: record.kind ?? 'failure' });
}

function isRuntimeFailureCode(code: string): code is RuntimeFailureCode {
  return Object.hasOwn(CODES, code);
}
