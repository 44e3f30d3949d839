import type { TaskSpec } from '../contracts/manifest.ts';
import type { Feeds, Outputs, Tensor } from '../runtime/types.ts';
import { BenchError } from './errors.ts';
import { argMax, firstSample, toNumbers } from './numbers.ts';

/** A class, or a sequence of classes padded with -1; -1 alone means that there is none. */
export type Label = number | readonly number[];

/** One evaluated sample: what went in, what the task's output was, what it should have been. */
export interface TaskSample {
  readonly feeds: Feeds;
  readonly output: Tensor;
  readonly label: Label | undefined;
}

/** How much of a sample was right; undefined when it has no label. */
type Score = { readonly right: number; readonly of: number } | undefined;

interface Metric {
  readonly name: string;
  score(task: TaskSpec, sample: TaskSample): Score;
}

const NO_LABEL = -1;

/** Task kinds of the manifest. A new kind is a new row. */
const METRICS: Readonly<Record<string, Metric>> = {
  classification: { name: 'top1', score: scoreClass },
  ctc: { name: 'exactSequence', score: scoreSequence },
  language: { name: 'nextTokenTop1', score: scoreNextTokens },
};

/** Kinds of tasks that can be measured. */
export const measuredTasks: readonly string[] = Object.keys(METRICS);

export interface Accuracy {
  readonly metric: string;
  /** Share that was right, 0..1. */
  readonly value: number;
  /** What the share is of: labelled samples, or positions of a language task. */
  readonly samples: number;
}

/** Adds up a task's metric, sample by sample. */
export class TaskMeter {
  readonly #task: TaskSpec | undefined;
  readonly #metric: Metric | undefined;
  #right = 0;
  #of = 0;

  /** A task of an unknown kind, or none, is measured by nothing. */
  constructor(task: TaskSpec | undefined) {
    this.#task = task;
    this.#metric = task && Object.hasOwn(METRICS, task.kind) ? METRICS[task.kind] : undefined;
  }

  add(feeds: Feeds, outputs: Outputs, label: Label | undefined): void {
    if (!this.#task || !this.#metric) return;
    const output = outputs[this.#task.output ?? ''] ?? Object.values(outputs)[0];
    if (!output) return;
    const score = this.#metric.score(this.#task, { feeds, output, label });
    this.#right += score?.right ?? 0;
    this.#of += score?.of ?? 0;
  }

  /** Null without a task of a known kind, and when no sample had a label. */
  result(): Accuracy | null {
    if (!this.#metric || this.#of === 0) return null;
    return { metric: this.#metric.name, value: this.#right / this.#of, samples: this.#of };
  }
}

function scoreClass(task: TaskSpec, { feeds, output, label }: TaskSample): Score {
  const expected = typeof label === 'number' ? label : label?.[0];
  if (expected === undefined || expected === NO_LABEL) return undefined;
  const values = numbers(output);
  const top = argMax(values, 0, firstSample(output, values, feeds));
  return { right: Number(top - task.labelOffset === expected), of: 1 };
}

/** Greedy decoding of [1, classes, steps]: arg max per step, collapse repeats, drop blanks. */
function scoreSequence(task: TaskSpec, { output, label }: TaskSample): Score {
  const expected = (typeof label === 'number' ? [label] : label)?.filter((c) => c !== NO_LABEL);
  if (expected === undefined || expected.length === 0) return undefined;
  if (task.blank === undefined) {
    throw new BenchError('BAD_TASK', 'a ctc task needs its blank class: set task.blank');
  }
  const [, classes = 0, steps = 0] = shapeOfRank(output, 3);
  const values = numbers(output);
  const path = Array.from({ length: steps }, (_, step) => argMax(values, step, classes, steps));
  const decoded = path.filter((c, step) => c !== task.blank && c !== path[step - 1]);
  const same = decoded.length === expected.length && decoded.every((c, i) => c === expected[i]);
  return { right: Number(same), of: 1 };
}

/**
 * Logits [1, steps, vocabulary]: those of step t against the token that is fed at t + 1. A mask, segment
 * numbers and positions have as many integers as the tokens. So of the inputs of that length one with
 * a name that speaks of tokens goes first, then one whose values are not all the same, then any.
 */
function scoreNextTokens(_: TaskSpec, { output, feeds }: TaskSample): Score {
  const [, steps = 0, vocabulary = 0] = shapeOfRank(output, 3);
  const candidates = Object.entries(feeds).filter(
    ([, { dtype, data }]) => /^u?int/.test(dtype) && data.length === steps,
  );
  const [, tokens] =
    candidates.find(([name]) => TOKEN_NAMES.test(name) && !OTHER_IDS.test(name)) ??
    candidates.find(([, tensor]) => varies(numbers(tensor))) ??
    candidates[0] ??
    [];
  if (!tokens) {
    throw new BenchError('BAD_TASK', `a language task needs an integer input of ${steps} tokens`);
  }
  const ids = numbers(tokens);
  const logits = numbers(output);
  let right = 0;
  for (let step = 0; step + 1 < steps; step++) {
    if (argMax(logits, step * vocabulary, vocabulary) === ids[step + 1]) right++;
  }
  return { right, of: steps - 1 };
}

const TOKEN_NAMES = /ids|tokens/i;
/** `token_type_ids`, `segment_ids`, `position_ids`: BERT and its kin. */
const OTHER_IDS = /type|segment|position/i;

function varies(values: ArrayLike<number>): boolean {
  for (let i = 1; i < values.length; i++) if (values[i] !== values[0]) return true;
  return false;
}

function numbers(tensor: Tensor): ArrayLike<number> {
  const values = toNumbers(tensor);
  if (values) return values;
  throw new BenchError('BAD_TASK', 'the output of the task is text: name another as task.output');
}

function shapeOfRank({ shape }: Tensor, rank: number): readonly number[] {
  if (shape.length === rank && shape[0] === 1) return shape;
  const message = `the output of the task has shape [${shape.join(',')}], expected ${rank} axes and one sample`;
  throw new BenchError('BAD_TASK', message);
}
