import { readPackage } from '../calibration/package.ts';
import type { ModelPackage } from '../calibration/package.ts';
import type { BenchReport, Fidelity } from '../contracts/bench.ts';
import type { Facts } from '../contracts/facts.ts';
import type { HardwareProfile } from '../contracts/profile.ts';
import type { Scheme } from '../contracts/scheme.ts';
import type { Evaluation } from '../bench/evaluate.ts';
import { throughputPerSecond } from '../bench/statistics.ts';
import { usableMemoryBytes } from '../hardware/memory.ts';
import { probe } from '../hardware/probe.ts';
import { loadProfiles } from '../hardware/profiles.ts';
import { writeOnnx } from '../model/onnx/open.ts';
import type { Feeds, SessionDescription } from '../runtime/types.ts';
import { messageOf } from '../util/errors.ts';
import { writeFileDurably } from '../util/files.ts';
import { agentVersion } from '../util/version.ts';
import { LOAD_TIMEOUT_MS, inChild, passTimeoutMs } from './children.ts';
import { applyDecision, decide } from './decide.ts';
import { Maker, counted } from './make.ts';
import { measureAll } from './measure.ts';
import type { Measurement, Measurements } from './measure.ts';
import { loadModel } from './model-file.ts';
import type { LoadedModel } from './model-file.ts';
import { resolveObjective } from './objective.ts';
import { plan } from './plan.ts';
import { manifestSamples, requestedSamples, splitSamples } from './sample-jobs.ts';
import type { SampleInfo, SampleJob, SampleSets } from './sample-jobs.ts';
import { makeScratch } from './scratch.ts';
import type { Scratch } from './scratch.ts';
import { summarize } from './summary.ts';
import { syntheticFeeds } from './synthetic.ts';
import type {
  BenchRequest,
  BenchRun,
  Candidate,
  Hooks,
  MeasuredRow,
  ModelFiles,
  SampleSource,
} from './types.ts';

/** A model, its samples and this machine, before anything is made. */
export interface Subject {
  readonly package: ModelPackage;
  readonly loaded: LoadedModel;
  readonly description: SessionDescription;
  readonly samples: SampleSets;
  readonly calibrationInfo: SampleInfo | null;
  readonly evaluationInfo: SampleInfo | null;
  readonly facts: Facts;
  readonly profile: HardwareProfile;
}

/** Reads the model and its samples, loads it once, and probes the machine. */
export async function openSubject(
  modelPath: string,
  source: SampleSource,
  image: BenchRequest['image'],
  { signal, progress }: Hooks,
): Promise<Subject> {
  progress({ phase: 'reading the model' });
  const described = await readPackage(modelPath);
  const loaded = await loadModel(described.modelPath);
  const facts = await probe();
  const profile = (await loadProfiles()).find(({ id }) => id === facts.profile.id);
  if (profile === undefined) throw new Error(`profile ${facts.profile.id} has vanished`);
  const path = described.modelPath;
  return inChild({
    name: 'loading the model',
    signal,
    use: async (worker) => {
      const timeout = { timeoutMs: LOAD_TIMEOUT_MS };
      const description = await worker.call('describe', { path }, timeout);
      const look = async (job: SampleJob | null) =>
        job === null ? null : worker.call('sampleInfo', { path, job }, timeout);
      const requested = requestedSamples(described, source, image);
      const samples =
        requested === null
          ? manifestSamples(described, image)
          : splitSamples(requested, (await look(requested))?.count ?? null);
      const calibrationInfo = await look(samples.calibration);
      const evaluationInfo = await look(samples.evaluation);
      const parts = { package: described, loaded, description, samples };
      return { ...parts, calibrationInfo, evaluationInfo, facts, profile };
    },
  });
}

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
  const subject = await openSubject(request.modelPath, request.samples, request.image, hooks);
  const objective = resolveObjective(request.objective, subject.evaluationInfo?.labelled ?? false);
  const summary = summarize(subject.loaded.model, {
    name: subject.package.name,
    bytes: subject.loaded.bytes,
  });
  const planned = plan(summary, subject.facts, subject.profile, {
    ...request.plan,
    samplesAvailable: subject.samples.calibration !== null,
  });
  const candidates = withObserver(planned.candidates, request.observer);
  const files = await makeFiles(candidates, subject, scratch, hooks);
  const feeds = await timingFeeds(subject, hooks);
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
    },
  );
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
      labelled: subject.evaluationInfo?.labelled ?? false,
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

/** A candidate with its file, or why there is none. */
interface MadeFile {
  readonly candidate: Candidate;
  readonly file: (ModelFiles & { readonly bytes: number }) | { readonly error: string };
}

/** Candidates that differ only in threads share one file. */
async function makeFiles(
  candidates: readonly Candidate[],
  subject: Subject,
  scratch: Scratch,
  hooks: Hooks,
): Promise<MadeFile[]> {
  const maker = makerFor(subject, scratch, hooks);
  const made = new Map<string, MadeFile['file']>();
  for (const { scheme, id } of candidates) {
    const key = JSON.stringify(scheme);
    if (made.has(key)) continue;
    const name = id.replace(/\/t\d+$/, '.onnx');
    // oxlint-disable-next-line no-await-in-loop -- one after the other bounds the memory
    made.set(key, await makeFile(scheme, scratch.file(name), subject, maker, hooks));
  }
  return candidates.map((candidate) => ({
    candidate,
    file: made.get(JSON.stringify(candidate.scheme)) ?? { error: 'was not made' },
  }));
}

export function makerFor(subject: Subject, scratch: Scratch, hooks: Hooks): Maker {
  return new Maker({
    float: subject.loaded.model,
    calibration: subject.samples.calibration,
    calibrationCount: subject.calibrationInfo?.count ?? null,
    threads: Math.max(1, Math.floor(subject.facts.cpu.coresUsable ?? 1)),
    scratch,
    hooks,
  });
}

async function makeFile(
  scheme: Scheme,
  path: string,
  { loaded }: Subject,
  maker: Maker,
  hooks: Hooks,
): Promise<MadeFile['file']> {
  if (scheme.method === 'none') {
    return { path: loaded.path, companions: loaded.companions, bytes: loaded.bytes };
  }
  try {
    const { model } = await maker.make(scheme);
    const chunks = writeOnnx(model);
    await writeFileDurably(path, chunks);
    return { path, companions: [], bytes: chunks.reduce((sum, { length }) => sum + length, 0) };
  } catch (error) {
    hooks.signal.throwIfAborted();
    return { error: messageOf(error) };
  }
}

/** One input for timing: the first evaluation sample, or made-up values. */
async function timingFeeds(subject: Subject, { signal }: Hooks): Promise<Feeds> {
  const job = subject.samples.evaluation;
  if (job === null) return syntheticFeeds(subject.description);
  const path = subject.loaded.path;
  const args = { timeoutMs: LOAD_TIMEOUT_MS };
  const feeds = await inChild({
    name: 'reading the first sample',
    signal,
    use: (worker) => worker.call('firstFeeds', { path, job }, args),
  });
  return feeds ?? syntheticFeeds(subject.description);
}

interface Judged {
  readonly evaluation: Evaluation | null;
  readonly integerCoverage: number | null;
  readonly error?: string;
}

interface Judgements {
  readonly byPath: ReadonlyMap<string, Judged>;
  readonly floatPath: string;
}

/** Accuracy and integer coverage of every distinct file; the float model comes first. */
async function judgeFiles(
  files: readonly MadeFile[],
  subject: Subject,
  feeds: Feeds,
  scratch: Scratch,
  hooks: Hooks,
): Promise<Judgements> {
  const floatPath = subject.loaded.path;
  const names = new Map(
    files.flatMap(({ file, candidate }) => ('path' in file ? [[file.path, candidate.id]] : [])),
  );
  const reference = scratch.file('reference.bin');
  const byPath = new Map<string, Judged>();
  const order = [floatPath, ...[...names.keys()].filter((path) => path !== floatPath)];
  for (const path of order) {
    const name = (names.get(path) ?? 'the float model').replace(/\/t\d+$/, '');
    // oxlint-disable-next-line no-await-in-loop -- one model in memory at a time
    byPath.set(path, await judge({ path, name, subject, feeds, reference, hooks }));
  }
  return { byPath, floatPath };
}

async function judge(options: {
  readonly path: string;
  readonly name: string;
  readonly subject: Subject;
  readonly feeds: Feeds;
  readonly reference: string;
  readonly hooks: Hooks;
}): Promise<Judged> {
  const { path, name, subject, feeds, reference, hooks } = options;
  const job = subject.samples.evaluation;
  const isFloat = path === subject.loaded.path;
  const phase = `judging ${name}`;
  try {
    return await inChild({
      name,
      signal: hooks.signal,
      use: async (worker) => {
        const coverage = await worker.call(
          'coverage',
          { path, feeds },
          { timeoutMs: LOAD_TIMEOUT_MS },
        );
        const integerCoverage = coverage.coverage;
        if (job === null) return { evaluation: null, integerCoverage };
        const task = subject.package.task;
        const threads = Math.max(1, Math.floor(subject.facts.cpu.coresUsable ?? 1));
        const evaluation = await worker.call(
          'evaluate',
          { path, job, task, reference, record: isFloat, threads },
          {
            timeoutMs: passTimeoutMs(subject.evaluationInfo?.count ?? null),
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

const IDENTICAL: Omit<Fidelity, 'samples'> = { sqnrDb: null, cosine: 1, top1Agreement: 1 };

function toRow(
  { candidate, file }: MadeFile,
  judged: Judgements,
  measured: Measurements,
): MeasuredRow {
  const { id, precision, method, runtime, threads, why } = candidate;
  const base = { id, precision, method, runtime, threads, why };
  if ('error' in file) return { ...base, ...UNMEASURED, error: file.error };
  const { evaluation, integerCoverage, error } = judged.byPath.get(file.path) ?? {
    evaluation: null,
    integerCoverage: null,
  };
  const measurement = measured.rows.get(id) ?? 'it was not measured';
  const failure = typeof measurement === 'string' ? measurement : error;
  const float = judged.byPath.get(judged.floatPath)?.evaluation ?? null;
  const isFloat = file.path === judged.floatPath;
  return {
    ...base,
    bytes: file.bytes,
    ...(typeof measurement === 'string' ? NO_FIGURES : figures(measurement)),
    integerCoverage,
    fidelity:
      isFloat && evaluation !== null
        ? { ...IDENTICAL, samples: evaluation.samples }
        : (evaluation?.fidelity ?? null),
    accuracy: accuracyOf(evaluation, float),
    ...(failure === undefined ? {} : { error: failure }),
  };
}

function accuracyOf(own: Evaluation | null, float: Evaluation | null): MeasuredRow['accuracy'] {
  if (own?.accuracy == null || float?.accuracy == null) return null;
  const { metric, value } = own.accuracy;
  return { metric, value, drop: float.accuracy.value - value };
}

const NO_FIGURES = {
  latencyMs: null,
  throughputPerSecond: null,
  loadMs: null,
  peakRssBytes: null,
  ownOverheadMs: null,
  heat: null,
} as const;

const UNMEASURED = {
  ...NO_FIGURES,
  bytes: null,
  integerCoverage: null,
  fidelity: null,
  accuracy: null,
} as const;

function figures(measurement: Measurement) {
  const { latencyMs, loadMs, peakRssBytes, ownOverheadMs, heat } = measurement;
  return {
    latencyMs,
    throughputPerSecond: throughputPerSecond(latencyMs),
    loadMs,
    peakRssBytes,
    ownOverheadMs,
    heat: {
      beforeCelsius: heat.before.celsius,
      afterCelsius: heat.after.celsius,
      beforeHz: heat.before.frequencyHz,
      afterHz: heat.after.frequencyHz,
    },
  };
}

function filesById(files: readonly MadeFile[]): Map<string, ModelFiles> {
  const byId = new Map<string, ModelFiles>();
  for (const { candidate, file } of files) if ('path' in file) byId.set(candidate.id, file);
  return byId;
}

export { quantizeModel } from './quantize.ts';
