import type { BenchReport } from '../contracts/bench.ts';
import type { Scheme } from '../contracts/scheme.ts';
import { agentVersion } from '../util/version.ts';
import { compareCandidates } from './decide/compare.ts';
import { withDelegate } from './candidates/delegate.ts';
import { linkWarning, usableEdgeTpu } from './candidates/edgetpu.ts';
import { gateWarnings, withGates } from './decide/gates.ts';
import { makerFor } from './make/make-files.ts';
import type { MadeFile } from './make/make-files.ts';
import { resolveObjective } from './decide/objective.ts';
import { plan } from './candidates/plan.ts';
import { makeScratch } from './scratch.ts';
import type { Scratch } from './scratch.ts';
import { isScored, openSubject } from './subject.ts';
import type { Subject } from './subject.ts';
import { summarize } from './summary.ts';
import { lookForTensorRt } from './tensorrt/look.ts';
import { threadCounts } from './candidates/threads.ts';
import { readVariants } from './candidates/variant-file.ts';
import { planVariants } from './candidates/variants.ts';
import type { BenchRequest, BenchRun, Candidate, Hooks, ModelFiles, Plan } from './types.ts';

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
  const { gates } = subject.package;
  const objective = withGates(request.objective, gates);
  // Refuses limits that cannot be checked before the long work.
  resolveObjective(objective, isScored(subject));
  const { loaded, facts } = subject;
  const file = { name: subject.package.name, bytes: loaded.bytes };
  const summary = summarize(loaded.model, file, facts.cpu);
  const tensorrt = await lookForTensorRt(subject, request.plan.runtimes, hooks);
  const planned = plan(summary, subject.facts, subject.profile, {
    ...request.plan,
    samplesAvailable: subject.samples.calibration !== null,
    unusable: tensorrt.unusable,
  });
  const prebuilt = await planPrebuilt(subject, request.plan);
  const own = withObserver(planned.candidates, request.observer);
  const [references, made] = [own.filter(isAsItIs), own.filter((one) => !isAsItIs(one))];
  const compared = await compareCandidates({
    subject,
    candidates: withDelegate([...references, ...prebuilt.candidates, ...made], subject.delegate),
    trtexec: tensorrt.tool,
    maker: await makerFor(subject, scratch, hooks),
    objective,
    minTimeSeconds: request.minTimeSeconds,
    coolDownSeconds: request.coolDownSeconds,
    machineRoot: request.machineRoot,
    scratch,
    hooks,
  });
  const warnings = [
    ...subject.samples.warnings,
    ...(subject.calibrationInfo?.warnings ?? []),
    ...(subject.evaluationInfo?.warnings ?? []),
    ...gateWarnings(gates, compared.objective),
    ...(compared.rows.some(({ variant }) => variant?.accelerator) ? linkWarnings(facts) : []),
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
      ...(subject.recorded === null ? {} : { recorded: subject.recorded }),
    },
    objective: compared.objective,
    conditions: compared.conditions,
    candidates: [...compared.rows],
    notTried: [...prebuilt.notTried, ...planned.notTried],
    warnings: [...new Set(warnings)],
    chosen: compared.chosen,
  };
  const { inputs } = subject;
  return {
    report,
    files: filesById(compared.files),
    ...(inputs === null ? {} : { inputs }),
    cleanup: () => scratch.remove(),
  };
}

/** Files that came with the package. */
async function planPrebuilt(
  { package: { variants, manifestPath }, facts, profile }: Subject,
  request: BenchRequest['plan'],
): Promise<Plan> {
  const threads = threadCounts(request.threads, facts, profile);
  return planVariants(await readVariants(variants), { facts, request, threads, manifestPath });
}

const isAsItIs = ({ method }: Candidate) => method === 'none';

function linkWarnings(facts: Subject['facts']): readonly string[] {
  const tpu = usableEdgeTpu(facts);
  const warning = tpu === undefined ? undefined : linkWarning(tpu);
  return warning === undefined ? [] : [warning];
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
