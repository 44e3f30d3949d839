import { measuredTasks } from '../../bench/task.ts';
import type { TaskSpec } from '../../contracts/manifest.ts';
import type { SessionDescription } from '../../runtime/types.ts';

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
  if (given !== null) return { task: given, warnings: labelled ? unmeasured(given) : [] };
  if (!labelled || first === undefined) return { task: null, warnings: [] };
  const classes = first.shape.at(-1);
  const scores = first.shape.length <= 2 && classes !== undefined && classes !== 1;
  if (!scores) {
    const why = 'the labels are not used: without a manifest only class scores can be judged';
    return { task: null, warnings: [why] };
  }
  const task = { kind: 'classification', output: first.name, labelOffset: 0 };
  return { task, warnings: [`the labels are taken for classes of the output '${first.name}'`] };
}

/** Labels that nothing would be done with. */
function unmeasured({ kind }: TaskSpec): readonly string[] {
  if (measuredTasks.includes(kind)) return [];
  const known = measuredTasks.join(', ');
  return [`the labels are not used: task.kind "${kind}" has no metric here (${known} have)`];
}
