import type { Fidelity } from '../contracts/bench.ts';
import type { TaskSpec } from '../contracts/manifest.ts';
import type { Feeds, Outputs, Session } from '../runtime/types.ts';
import { BenchError } from './errors.ts';
import { FidelityMeter } from './fidelity.ts';
import { openReference, writeReference } from './reference.ts';
import { type Accuracy, type Label, TaskMeter } from './task.ts';

export interface EvaluationSample {
  readonly feeds: Feeds;
  readonly label?: Label | undefined;
}

export interface Evaluation {
  /** Null where there was nothing to compare with. */
  readonly fidelity: Fidelity | null;
  /** Null without labels or without a task that can be measured. */
  readonly accuracy: Accuracy | null;
  readonly samples: number;
}

export interface EvaluateOptions {
  readonly task?: TaskSpec | undefined;
  /** Called after every sample with how many have been done. */
  readonly onSample?: ((done: number) => void) | undefined;
  /** Ends the evaluation with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs a model over the samples. With `referencePath` (a file of `recordReference`, of the same
 * samples) its outputs are compared with the reference's; with labels the task's metric is measured.
 */
export async function evaluate(
  session: Session,
  samples: AsyncIterable<EvaluationSample>,
  referencePath?: string,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  const task = new TaskMeter(options.task);
  const fidelity = new FidelityMeter(options.task?.output);
  const reference = referencePath === undefined ? undefined : openReference(referencePath);
  let count = 0;
  try {
    for await (const { feeds, outputs } of runAll(session, samples, task, options)) {
      if (reference) {
        const { value, done } = await reference.next();
        if (done === true) throw wrongCount(`has only ${count}`);
        fidelity.add(value, outputs, feeds);
      }
      count++;
    }
    if (reference && (await reference.next()).done !== true) {
      throw wrongCount('has more');
    }
  } finally {
    await reference?.return(undefined);
  }
  return {
    fidelity: reference && count > 0 ? fidelity.result() : null,
    accuracy: task.result(),
    samples: count,
  };
}

function wrongCount(why: string): BenchError {
  const message = `the reference outputs belong to other samples: the file ${why}`;
  return new BenchError('BAD_REFERENCE', message);
}

/**
 * Runs the float model over the samples, keeps its outputs in a file for `evaluate`, and measures the
 * task's metric on the way.
 */
export async function recordReference(
  path: string,
  session: Session,
  samples: AsyncIterable<EvaluationSample>,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  const task = new TaskMeter(options.task);
  let count = 0;
  async function* all(): AsyncGenerator<Outputs> {
    for await (const { outputs } of runAll(session, samples, task, options)) {
      count++;
      yield outputs;
    }
  }
  await writeReference(path, all());
  return { fidelity: null, accuracy: task.result(), samples: count };
}

async function* runAll(
  session: Session,
  samples: AsyncIterable<EvaluationSample>,
  task: TaskMeter,
  { onSample, signal }: EvaluateOptions,
): AsyncGenerator<{ readonly feeds: Feeds; readonly outputs: Outputs }> {
  let done = 0;
  for await (const { feeds, label } of samples) {
    signal?.throwIfAborted();
    const outputs = await session.run(feeds);
    task.add(feeds, outputs, label);
    yield { feeds, outputs };
    onSample?.(++done);
  }
}
