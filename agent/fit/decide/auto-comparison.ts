import type { CandidateRow } from '../../contracts/bench.ts';
import { usableMemoryBytes } from '../../hardware/memory.ts';
import type { Feeds } from '../../runtime/types.ts';
import {
  AS_FAST,
  AS_FAST_FOR_TASK,
  LEAST_GAIN,
  NO_LOSS,
  callMs,
  decideAuto,
  lostPoints,
  timed,
} from './auto-decision.ts';
import { applyDecision } from './decide.ts';
import { judge } from './judge.ts';
import type { Judged, Judgements } from './judge.ts';
import type { MadeFile } from '../make/make-files.ts';
import { measureAll } from '../measure/measure.ts';
import type { Measurements } from '../measure/measure.ts';
import { accuracyObstacle, isReference } from './objective.ts';
import { toRow } from './rows.ts';
import type { Scratch } from '../scratch.ts';
import { timingFeeds } from '../subject.ts';
import type { Subject } from '../subject.ts';
import type { Hooks, MeasuredRow, Objective } from '../types.ts';

/** Each version is measured this long, in turns with the others. */
const MIN_TIME_SECONDS = 0.5;
/** Slow models differ by more than the noise of a few inferences. */
const MAX_ROUND_MS = 1000;
/** Asked for even where labels exist: arg max hides what an application may do with the scores. */
const MIN_SQNR_DB = 20;
/** Points of the task metric: a whole one is the limit, and other samples may show a little more. */
const MAX_DROP = 0.9;

export interface AutoContext {
  readonly subject: Subject;
  readonly scratch: Scratch;
  readonly hooks: Hooks;
}

export interface AutoComparison {
  readonly rows: readonly CandidateRow[];
  readonly chosen: string | null;
  readonly warnings: readonly string[];
}

/** Measures all files side by side, judges the fastest on the evaluation samples, and decides. */
export async function compareAuto(
  files: readonly MadeFile[],
  context: AutoContext,
): Promise<AutoComparison> {
  const { subject, scratch, hooks } = context;
  const feeds = await timingFeeds(subject, scratch, hooks);
  const measured = await measureAll(
    files.flatMap(({ candidate, file }) =>
      'path' in file ? [{ candidate, path: file.path, bytes: file.bytes }] : [],
    ),
    {
      feeds,
      minTimeSeconds: MIN_TIME_SECONDS,
      maxRoundMs: MAX_ROUND_MS,
      memoryBytes: usableMemoryBytes(subject.facts.memory),
      hooks,
      scratch,
    },
  );
  const judging = new Judging(context, feeds, measured);
  const objective = await judging.objective();
  await judging.fastestFirst(files, objective);
  const rows = files.map((file) => judging.row(file));
  const decision = decideAuto(rows, objective, judging.skipped(files), subject.profile.gains);
  const chosen = files.find(({ candidate }) => candidate.id === decision.chosen);
  // A folded float model is judged only when it is what will be written.
  if (chosen !== undefined) await judging.judge(chosen);
  return {
    rows: applyDecision(
      files.map((file) => judging.row(file)),
      decision,
    ),
    chosen: decision.chosen,
    warnings: [...measured.warnings, ...judging.warnings],
  };
}

/** Runs files over the evaluation samples, as few as the decision needs. */
class Judging {
  readonly warnings: string[] = [];
  private readonly context: AutoContext;
  private readonly feeds: Feeds;
  private readonly measured: Measurements;
  private readonly byPath = new Map<string, Judged>();
  private readonly floatPath: string;

  constructor(context: AutoContext, feeds: Feeds, measured: Measurements) {
    this.context = context;
    this.feeds = feeds;
    this.measured = measured;
    this.floatPath = context.subject.loaded.path;
  }

  /** Judges the float model, and with it finds out whether the task can be scored. */
  async objective(): Promise<Objective> {
    const { evaluation } = await this.run(this.floatPath, 'the float model');
    const labelled = (evaluation?.accuracy ?? null) !== null;
    return {
      optimize: 'latency',
      maxAccuracyDrop: labelled ? MAX_DROP : null,
      minSqnrDb: MIN_SQNR_DB,
      maxP90Ms: null,
    };
  }

  /** From the fastest on, until the rest is too slow to matter. */
  async fastestFirst(files: readonly MadeFile[], objective: Objective): Promise<void> {
    const rows = timed(files.map((file) => this.row(file)));
    const float = Math.min(...rows.filter(isReference).map(({ ms }) => ms));
    const byId = new Map(files.map((file) => [file.candidate.id, file]));
    const worth = rows.filter((row) => !isReference(row) && row.ms <= float + callMs(float));
    let limit = Infinity;
    for (const { id, ms } of worth.toSorted((a, b) => a.ms - b.ms)) {
      const file = byId.get(id);
      if (ms > limit || file === undefined) break;
      // oxlint-disable-next-line no-await-in-loop -- what this one shows may end the search
      await this.judge(file);
      const row = this.row(file);
      if (row.error !== undefined || accuracyObstacle(row, objective) !== undefined) continue;
      // What gains too little to be chosen for its speed must not hide a much smaller file.
      if (ms > float * (1 - LEAST_GAIN)) continue;
      const slack = (1 + AS_FAST) * (lostPoints(row) > NO_LOSS ? 1 + AS_FAST_FOR_TASK : 1);
      limit = Math.min(limit, ms * slack);
    }
  }

  async judge({ candidate, file }: MadeFile): Promise<void> {
    if ('path' in file) await this.run(file.path, candidate.id.replace(/\/t\d+$/, ''));
  }

  /** Ids of what was measured, but not judged. */
  skipped(files: readonly MadeFile[]): ReadonlySet<string> {
    const left = files.filter(({ file }) => 'path' in file && !this.byPath.has(file.path));
    return new Set(left.map(({ candidate }) => candidate.id));
  }

  row(file: MadeFile): MeasuredRow {
    const { byPath, floatPath, warnings } = this;
    const judged: Judgements = { byPath, floatPath, warnings };
    return toRow(file, judged, this.measured);
  }

  private async run(path: string, name: string): Promise<Judged> {
    const known = this.byPath.get(path);
    if (known !== undefined) return known;
    const { feeds, warnings, context } = this;
    const reference = context.scratch.file('reference.bin');
    const judged = await judge({ ...context, path, name, feeds, reference, warnings });
    this.byPath.set(path, judged);
    return judged;
  }
}
