import type { TaskSpec } from '../contracts/manifest.ts';
import type { SessionDescription } from '../runtime/types.ts';

export interface AssumedTask {
  readonly task: TaskSpec | null;
  /** What was assumed, to be told to the user. */
  readonly warnings: readonly string[];
}

/**
 * What labels mean when no manifest says so: with a single row of scores as the first output, the
 * class of the highest one. For any other output nothing is assumed.
 */
export function assumeTask(
  given: TaskSpec | null,
  { outputs }: SessionDescription,
  labelled: boolean,
): AssumedTask {
  const [first] = outputs;
  if (given !== null || !labelled || first === undefined) return { task: given, warnings: [] };
  const classes = first.shape.at(-1);
  const scores = first.shape.length <= 2 && classes !== undefined && classes !== 1;
  if (!scores) {
    const why = 'the labels are not used: without a manifest only class scores can be judged';
    return { task: null, warnings: [why] };
  }
  const task = { kind: 'classification', output: first.name, labelOffset: 0 };
  return { task, warnings: [`the labels are taken for classes of the output '${first.name}'`] };
}
