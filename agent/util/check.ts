/** How a check went; whoever runs the checks adds the rest. */
export interface Finding {
  readonly ok: boolean;
  readonly found: string;
  readonly mend?: string;
  readonly facts?: Readonly<Record<string, string>>;
}

/** A named condition of this machine. */
export interface Check {
  readonly id: string;
  readonly title: string;
  readonly severity: 'essential' | 'optional';
  /** Another check that must have gone well; otherwise this one is skipped. */
  readonly dependsOn?: string;
  readonly run: (signal: AbortSignal) => Promise<Finding>;
}

/** A problem is written "what is wrong: what to do". */
export function splitFix(problem: string): readonly [string, string | undefined] {
  const colon = problem.lastIndexOf(': ');
  return colon === -1
    ? [problem, undefined]
    : [problem.slice(0, colon), problem.slice(colon + ': '.length)];
}
