import type { Evaluation } from '../../bench/evaluate.ts';
import type { DelegateOptions, Feeds } from '../../runtime/types.ts';
import { messageOf } from '../../util/errors.ts';
import { LOAD_TIMEOUT_MS, inChild } from '../children.ts';
import { counted } from '../progress.ts';
import type { MadeFile } from '../make/make-files.ts';
import type { Scratch } from '../scratch.ts';
import { workThreads } from '../subject.ts';
import type { Subject } from '../subject.ts';
import type { Hooks } from '../types.ts';

/** What running a file over the samples showed. */
export interface Judged {
  readonly evaluation: Evaluation | null;
  readonly integerCoverage: number | null;
  readonly error?: string;
}

export interface Judgements {
  readonly byPath: ReadonlyMap<string, Judged>;
  readonly floatPath: string;
  readonly warnings: readonly string[];
}

export interface JudgeOptions {
  readonly subject: Subject;
  readonly feeds: Feeds;
  readonly scratch: Scratch;
  readonly hooks: Hooks;
}

/** Accuracy and integer coverage of every distinct file; the float model comes first. */
export async function judgeFiles(
  files: readonly MadeFile[],
  common: JudgeOptions,
): Promise<Judgements> {
  const { subject, scratch } = common;
  const floatPath = subject.loaded.path;
  const candidates = new Map(
    files.flatMap(({ file, candidate }) => ('path' in file ? [[file.path, candidate]] : [])),
  );
  const reference = scratch.file('reference.bin');
  const byPath = new Map<string, Judged>();
  const warnings: string[] = [];
  const order = [floatPath, ...[...candidates.keys()].filter((path) => path !== floatPath)];
  for (const path of order) {
    const { id = 'the float model', delegate } = candidates.get(path) ?? {};
    const name = id.replace(/\/t\d+$/, '');
    // oxlint-disable-next-line no-await-in-loop -- one model in memory at a time
    byPath.set(path, await judge({ ...common, path, name, delegate, reference, warnings }));
  }
  return { byPath, floatPath, warnings };
}

/** Runs one file over the samples. The float model comes first: it is what the others are compared with. */
export async function judge(
  options: JudgeOptions & {
    readonly path: string;
    readonly name: string;
    readonly delegate?: DelegateOptions | undefined;
    readonly reference: string;
    readonly warnings: string[];
  },
): Promise<Judged> {
  const { delegate, path, name, subject, feeds, reference, warnings, scratch, hooks } = options;
  const job = subject.samples.evaluation;
  const isFloat = path === subject.loaded.path;
  const phase = `judging ${name}`;
  try {
    return await inChild({
      name,
      signal: hooks.signal,
      scratch,
      use: async (worker) => {
        const { integerCoverage, problem } = await worker.call(
          'coverage',
          { path, feeds, delegate },
          { timeoutMs: LOAD_TIMEOUT_MS },
        );
        if (problem !== undefined) warnings.push(`integer coverage of ${name}: ${problem}`);
        if (job === null) return { evaluation: null, integerCoverage };
        const task = subject.package.task;
        const threads = workThreads(subject);
        const evaluation = await worker.call(
          'evaluate',
          { path, job, task, reference, record: isFloat, threads, delegate },
          {
            timeoutMs: LOAD_TIMEOUT_MS,
            onProgress: (value) => hooks.progress({ phase, ...counted(value) }),
          },
        );
        return { evaluation, integerCoverage };
      },
    });
  } catch (error) {
    hooks.signal.throwIfAborted();
    // Without the reference nothing can be judged: a bad sample, most often.
    if (isFloat) throw error;
    return { evaluation: null, integerCoverage: null, error: messageOf(error) };
  }
}
