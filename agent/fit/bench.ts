import type { BenchReport } from '../contracts/bench.ts';
import type { Scheme } from '../contracts/scheme.ts';
import { agentVersion } from '../util/version.ts';
import { compareCandidates } from './compare.ts';
import { withDelegate } from './delegate.ts';
import { makerFor } from './make-files.ts';
import type { MadeFile } from './make-files.ts';
import { resolveObjective } from './objective.ts';
import { plan } from './plan.ts';
import { makeScratch } from './scratch.ts';
import type { Scratch } from './scratch.ts';
import { isScored, openSubject } from './subject.ts';
import { summarize } from './summary.ts';
import { lookForTensorRt } from './tensorrt/look.ts';
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
  resolveObjective(request.objective, isScored(subject));
  const { loaded, facts } = subject;
  const file = { name: subject.package.name, bytes: loaded.bytes };
  const summary = summarize(loaded.model, file, facts.cpu);
  const tensorrt = await lookForTensorRt(subject, request.plan.runtimes, hooks);
  const planned = plan(summary, subject.facts, subject.profile, {
    ...request.plan,
    samplesAvailable: subject.samples.calibration !== null,
    unusable: tensorrt.unusable,
  });
  const compared = await compareCandidates({
    subject,
    candidates: withDelegate(withObserver(planned.candidates, request.observer), request.delegate),
    delegate: request.delegate,
    trtexec: tensorrt.tool,
    maker: await makerFor(subject, scratch, hooks),
    objective: request.objective,
    minTimeSeconds: request.minTimeSeconds,
    coolDownSeconds: request.coolDownSeconds,
    scratch,
    hooks,
  });
  const warnings = [
    ...subject.samples.warnings,
    ...(subject.calibrationInfo?.warnings ?? []),
    ...(subject.evaluationInfo?.warnings ?? []),
    ...compared.warnings,
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
    objective: compared.objective,
    conditions: compared.conditions,
    candidates: [...compared.rows],
    notTried: [...planned.notTried],
    warnings: [...new Set(warnings)],
    chosen: compared.chosen,
  };
  return { report, files: filesById(compared.files), cleanup: () => scratch.remove() };
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
