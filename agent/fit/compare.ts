import type { CandidateRow, Conditions } from '../contracts/bench.ts';
import { usableMemoryBytes } from '../hardware/memory.ts';
import { hottest } from '../hardware/thermal.ts';
import type { DelegateOptions } from '../runtime/types.ts';
import { applyDecision, decide } from './decide.ts';
import { judgeFiles } from './judge.ts';
import type { VersionMaker } from './version-maker.ts';
import { makeFiles } from './make-files.ts';
import type { MadeFile } from './make-files.ts';
import { measureAll } from './measure.ts';
import { resolveObjective } from './objective.ts';
import { toRow } from './rows.ts';
import type { Scratch } from './scratch.ts';
import { timingFeeds } from './subject.ts';
import type { Subject } from './subject.ts';
import type { Candidate, Hooks, Objective, ObjectiveRequest } from './types.ts';

export interface CompareOptions {
  readonly subject: Subject;
  readonly candidates: readonly Candidate[];
  readonly maker: VersionMaker;
  readonly objective: ObjectiveRequest;
  /** Of the measured sessions; TFLite only. */
  readonly delegate?: DelegateOptions | undefined;
  readonly minTimeSeconds: number;
  /** The longest wait for a throttled machine to cool; null: none. */
  readonly coolDownSeconds: number | null;
  readonly scratch: Scratch;
  readonly hooks: Hooks;
}

export interface Comparison {
  /** One per candidate, in their order, with its verdict. */
  readonly rows: readonly CandidateRow[];
  readonly files: readonly MadeFile[];
  /** What was enforced. */
  readonly objective: Objective;
  readonly chosen: string | null;
  readonly warnings: readonly string[];
  readonly conditions: Conditions;
}

/** Makes every candidate, judges it on the samples, measures all side by side, and decides. */
export async function compareCandidates(options: CompareOptions): Promise<Comparison> {
  const { subject, candidates, maker, delegate, scratch, hooks } = options;
  // First of all: samples that cannot be read end the run before the long work.
  const feeds = await timingFeeds(subject, scratch, hooks);
  const files = await makeFiles(candidates, subject, maker, scratch, hooks);
  const judged = await judgeFiles(files, { subject, feeds, delegate, scratch, hooks });
  const measured = await measureAll(
    files.flatMap(({ candidate, file }) =>
      // What crashed or hung on the samples is not loaded again for every number of threads.
      'path' in file && judged.byPath.get(file.path)?.error === undefined
        ? [{ candidate, path: file.path, bytes: file.bytes }]
        : [],
    ),
    {
      feeds,
      delegate,
      minTimeSeconds: options.minTimeSeconds,
      machine: {
        coolDownSeconds: options.coolDownSeconds,
        startCelsius: hottest(subject.facts.thermal),
        power: true,
      },
      memoryBytes: usableMemoryBytes(subject.facts.memory),
      hooks,
      scratch,
    },
  );
  // A task of a kind without a metric has labels but no accuracy.
  const accuracy = judged.byPath.get(judged.floatPath)?.evaluation?.accuracy ?? null;
  const objective = resolveObjective(options.objective, accuracy !== null);
  const rows = files.map((one) => toRow(one, judged, measured));
  const decision = decide(rows, objective);
  return {
    rows: applyDecision(rows, decision),
    files,
    objective,
    chosen: decision.chosen,
    conditions: {
      ...measured.conditions,
      powerMode: subject.facts.power?.mode ?? null,
      clocksLocked: subject.facts.power?.clocksLocked ?? null,
    },
    warnings: [...maker.warnings, ...judged.warnings, ...measured.warnings, ...decision.warnings],
  };
}
