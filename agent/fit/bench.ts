import type { BenchReport } from '../contracts/bench.ts';
import type { Scheme } from '../contracts/scheme.ts';
import { usableMemoryBytes } from '../hardware/memory.ts';
import { agentVersion } from '../util/version.ts';
import { applyDecision, decide } from './decide.ts';
import { judgeFiles } from './judge.ts';
import { makeFiles } from './make-files.ts';
import type { MadeFile } from './make-files.ts';
import { measureAll } from './measure.ts';
import { resolveObjective } from './objective.ts';
import { plan } from './plan.ts';
import { toRow } from './rows.ts';
import { makeScratch } from './scratch.ts';
import type { Scratch } from './scratch.ts';
import { openSubject, timingFeeds } from './subject.ts';
import { summarize } from './summary.ts';
import type { BenchRequest, BenchRun, Candidate, Hooks, ModelFiles } from './types.ts';

/** Makes, measures and judges every candidate worth trying. The caller cleans up. */
export async function benchModel(request: BenchRequest, hooks: Hooks): Promise<BenchRun> {
  const scratch = await makeScratch();
  try {
    return await bench(request, hooks, scratch);
  } catch (error) {
    await scratch.remove();
    throw error;
  }
}

async function bench(request: BenchRequest, hooks: Hooks, scratch: Scratch): Promise<BenchRun> {
  const startedAt = new Date().toISOString();
  const subject = await openSubject(request, scratch, hooks);
  const labelled = subject.evaluationInfo?.labelled ?? false;
  // Refuses limits that cannot be checked before the long work.
  resolveObjective(request.objective, labelled && subject.package.task !== null);
  const summary = summarize(subject.loaded.model, {
    name: subject.package.name,
    bytes: subject.loaded.bytes,
  });
  const planned = plan(summary, subject.facts, subject.profile, {
    ...request.plan,
    samplesAvailable: subject.samples.calibration !== null,
  });
  const candidates = withObserver(planned.candidates, request.observer);
  // First of all: samples that cannot be read end the run before the long work.
  const feeds = await timingFeeds(subject, scratch, hooks);
  const files = await makeFiles(candidates, subject, scratch, hooks);
  const judged = await judgeFiles(files, subject, feeds, scratch, hooks);
  const measured = await measureAll(
    files.flatMap(({ candidate, file }) =>
      'path' in file ? [{ candidate, path: file.path, bytes: file.bytes }] : [],
    ),
    {
      feeds,
      minTimeSeconds: request.minTimeSeconds,
      memoryBytes: usableMemoryBytes(subject.facts.memory),
      hooks,
      scratch,
    },
  );
  // A task of a kind without a metric has labels but no accuracy.
  const float = judged.byPath.get(judged.floatPath)?.evaluation?.accuracy ?? null;
  const objective = resolveObjective(request.objective, float !== null);
  const rows = files.map((one) => toRow(one, judged, measured));
  const decision = decide(rows, objective);
  const warnings = [
    ...subject.samples.warnings,
    ...(subject.calibrationInfo?.warnings ?? []),
    ...(subject.evaluationInfo?.warnings ?? []),
    ...measured.warnings,
    ...decision.warnings,
  ];
  const report: BenchReport = {
    schema: 'edgefit/bench/1',
    startedAt,
    agent: agentVersion(),
    device: subject.facts,
    model: {
      name: subject.package.name,
      sha256: subject.loaded.sha256,
      format: subject.loaded.model.format,
      bytes: subject.loaded.bytes,
    },
    samples: {
      calibration: subject.calibrationInfo?.count ?? 0,
      evaluation: subject.evaluationInfo?.count ?? 0,
      labelled,
      source: subject.evaluationInfo?.describe ?? 'none: made-up inputs, good for timing only',
    },
    objective,
    candidates: [...applyDecision(rows, decision)],
    notTried: [...planned.notTried],
    warnings: [...new Set(warnings)],
    chosen: decision.chosen,
  };
  return { report, files: filesById(files), cleanup: () => scratch.remove() };
}

function withObserver(
  candidates: readonly Candidate[],
  observer: Scheme['observer'] | undefined,
): readonly Candidate[] {
  if (observer === undefined) return candidates;
  return candidates.map((one) => ({ ...one, scheme: { ...one.scheme, observer } }));
}

function filesById(files: readonly MadeFile[]): Map<string, ModelFiles> {
  const byId = new Map<string, ModelFiles>();
  for (const { candidate, file } of files) if ('path' in file) byId.set(candidate.id, file);
  return byId;
}
