import { AgentError } from '../util/errors.ts';

/** One thing that is wrong with the configuration, and where it was said. */
export interface ConfigProblem {
  /** The file or environment variable that it stands in. */
  readonly where: string;
  /** From 1; null when the place has no lines (a variable) or the key is nowhere. */
  readonly line: number | null;
  readonly column: number | null;
  /** Such as `mqtt.url`; empty for the document as a whole. */
  readonly key: string;
  readonly message: string;
}

/** `FILE:LINE:COLUMN: key: message`, the form that editors jump to. */
export function renderProblem({ where, line, column, key, message }: ConfigProblem): string {
  const place = line === null ? where : `${where}:${line}:${column ?? 1}`;
  return key === '' ? `${place}: ${message}` : `${place}: ${key}: ${message}`;
}

/** The configuration cannot be used. The message holds the first problem. */
export class ConfigError extends AgentError {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];

  /** @param others what the message says of all problems but the first */
  constructor(
    problems: readonly ConfigProblem[],
    cause?: unknown,
    others = 'agent config check lists them',
  ) {
    const [first] = problems;
    const more = problems.length - 1;
    const rest = more > 0 ? ` (and ${more} more: ${others})` : '';
    super(
      'BAD_CONFIG',
      `${first === undefined ? 'bad configuration' : renderProblem(first)}${rest}`,
      {
        cause,
      },
    );
    this.problems = problems;
  }
}
