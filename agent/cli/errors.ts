import { AgentError, codeOf, messageOf } from '../util/errors.ts';

/** The exit codes of every command. */
export const EXIT = {
  done: 0,
  failed: 1,
  badInput: 2,
  /** Done, but an objective given on the command line was not met. */
  objectiveMissed: 3,
  /** `agent run` only: EX_CONFIG of sysexits.h, which systemd is told not to restart after. */
  badConfiguration: 78,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Bad usage that commander cannot see by itself. */
export class UsageError extends AgentError {
  override readonly name = 'UsageError';

  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super('usage', message, options);
  }
}

/** Read by shape: an error may come from another realm or a second copy of a module. */
function kindOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'kind' in error ? error.kind : undefined;
}

/** Our own errors name their kind; anything else is a failure of the program. */
export function exitCodeOf(error: unknown): ExitCode {
  return kindOf(error) === 'input' ? EXIT.badInput : EXIT.failed;
}

/** One line for people; with `debug` the stack and the causes below it. */
export function explain(error: unknown, debug: boolean): string {
  const expected = kindOf(error) === 'input' || kindOf(error) === 'failure';
  const message = firstLine(messageOf(error));
  const code = codeOf(error);
  const line = expected
    ? `agent: ${message}`
    : `agent: unexpected error: ${message}${code === undefined ? '' : ` (${code})`}; --debug shows where`;
  return debug ? `${line}\n${stackOf(error)}` : line;
}

/** Bytes of a file that is not what it should be may be quoted: a terminal must not obey them. */
function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').replaceAll(/\p{Cc}/gu, '?');
}

const MAX_CAUSES = 5;

function stackOf(error: unknown): string {
  const stacks: string[] = [];
  let current = error;
  for (let depth = 0; depth < MAX_CAUSES; depth += 1) {
    if (typeof current !== 'object' || current === null) break;
    stacks.push('stack' in current ? String(current.stack) : messageOf(current));
    current = 'cause' in current ? current.cause : undefined;
  }
  return stacks.join('\ncaused by: ');
}
