import type { CandidateRow, Conditions } from '../../contracts/bench.ts';
import { usableMemoryBytes } from '../../hardware/memory.ts';
import { hottest } from '../../hardware/thermal.ts';
import type { Trtexec } from '../../runtime/tensorrt/tool.ts';
import type { Feeds } from '../../runtime/types.ts';
import { applyDecision, decide } from './decide.ts';
import { judgeFiles } from './judge.ts';
import { conditionsOf, withMachine, type Machine } from '../measure/machine.ts';
import type { VersionMaker } from '../search/version-maker.ts';
import { makeFiles } from '../make/make-files.ts';
import type { MadeFile } from '../make/make-files.ts';
import { measureAll } from '../measure/measure.ts';
import { resolveObjective } from './objective.ts';
import { toRow } from './rows.ts';
import type { Scratch } from '../scratch.ts';
import { timingFeeds } from '../subject.ts';
import type { Subject } from '../subject.ts';
import type { Candidate, Hooks, MeasuredRow, Objective, ObjectiveRequest } from '../types.ts';

export interface CompareOptions {
  readonly subject: Subject;
  readonly candidates: readonly Candidate[];
  readonly maker: VersionMaker;
  readonly objective: ObjectiveRequest;
  /** What builds and runs the candidates for TensorRT. */
  readonly trtexec?: Trtexec | undefined;
  readonly minTimeSeconds: number;
  /** The longest wait for a throttled machine to cool; null: none. */
  readonly coolDownSeconds: number | null;
  /** The files of a recorded machine in place of this one's. */
  readonly machineRoot?: string | undefined;
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
  const { subject, candidates, maker } = options;
  const { parts, conditions } = await compareParts(options);
  const byId = new Map(parts.flatMap(({ rows }) => rows).map((row) => [row.id, row]));
  const rows = candidates.flatMap(({ id }) => byId.get(id) ?? []);
  // A task of a kind without a metric has labels but no accuracy.
  const isScored = rows.some((row) => row.accuracy !== null);
  const objective = resolveObjective(options.objective, isScored);
  const decision = decide(rows, objective, subject.profile.gains);
  return {
    rows: applyDecision(rows, decision),
    files: parts.flatMap(({ files }) => files),
    objective,
    chosen: decision.chosen,
    conditions,
    warnings: [
      ...maker.warnings,
      ...parts.flatMap(({ warnings }) => warnings),
      ...decision.warnings,
    ],
  };
}

/** What one kind of runtime gave; `rows` and `files` are one per candidate. */
interface Part {
  readonly rows: readonly MeasuredRow[];
  readonly files: readonly MadeFile[];
  readonly warnings: readonly string[];
}

/** What all candidates are timed with: one sample, and one machine with its budget for waiting. */
interface Timing {
  readonly feeds: Feeds;
  readonly machine: Machine;
}

/** Candidates of each kind of runtime in turn, beside the same instruments. */
async function compareParts(
  options: CompareOptions,
): Promise<{ readonly parts: readonly Part[]; readonly conditions: Conditions }> {
  const { subject, candidates, scratch, hooks, machineRoot: root, coolDownSeconds } = options;
  // First of all: samples that cannot be read end the run before the long work.
  const feeds = await timingFeeds(subject, scratch, hooks);
  const { facts, profile } = subject;
  const watched = {
    root,
    coolDownSeconds,
    startCelsius: hottest(facts.thermal),
    limit: profile.thermal,
    totalRail: profile.power?.totalRail,
    power: true,
  };
  // The machine is as idle as it will be: nothing has been calibrated or judged yet.
  return withMachine(watched, hooks, async (machine) => {
    const engines = candidates.filter(({ runtime }) => runtime === 'tensorrt');
    const others = candidates.filter(({ runtime }) => runtime !== 'tensorrt');
    const timing = { feeds, machine };
    const parts = [
      ...(others.length === 0 ? [] : [await compareFiles(others, timing, options)]),
      ...(engines.length === 0 ? [] : [await compareOnGpu(engines, timing, options)]),
    ];
    const { mode = null, clocksLocked = null } = facts.power ?? {};
    return { parts, conditions: { ...conditionsOf(machine), powerMode: mode, clocksLocked } };
  });
}

async function compareOnGpu(
  candidates: readonly Candidate[],
  timing: Timing,
  options: CompareOptions,
): Promise<Part> {
  const { compareEngines } = await import('../tensorrt/compare.ts');
  const { trtexec } = options;
  if (trtexec === undefined)
    throw new Error('candidates for TensorRT were planned without trtexec');
  return compareEngines(candidates, { ...options, ...timing, trtexec });
}

/** Candidates that run on the CPU, in child processes of our own. */
async function compareFiles(
  candidates: readonly Candidate[],
  { feeds, machine }: Timing,
  options: CompareOptions,
): Promise<Part> {
  const { subject, maker, scratch, hooks } = options;
  const files = await makeFiles(candidates, subject, maker, scratch, hooks);
  const judged = await judgeFiles(files, { subject, feeds, scratch, hooks });
  const measured = await measureAll(
    files.flatMap(({ candidate, file }) =>
      // What crashed or hung on the samples is not loaded again for every number of threads.
      'path' in file && judged.byPath.get(file.path)?.error === undefined
        ? [{ candidate, path: file.path, bytes: file.bytes }]
        : [],
    ),
    {
      feeds,
      minTimeSeconds: options.minTimeSeconds,
      machine,
      memoryBytes: usableMemoryBytes(subject.facts.memory),
      hooks,
      scratch,
    },
  );
  const rows = files.map((one) => toRow(one, judged, measured));
  return { rows, files, warnings: [...judged.warnings, ...measured.warnings] };
}
