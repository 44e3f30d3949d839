import { readPackage } from '../calibration/package.ts';
import type { ModelPackage } from '../calibration/package.ts';
import type { Facts } from '../contracts/facts.ts';
import type { HardwareProfile } from '../contracts/profile.ts';
import type { ModelInput } from '../contracts/recorded.ts';
import { probeMachine } from '../hardware/probe.ts';
import { knownProfiles } from '../hardware/profiles.ts';
import type { DelegateOptions, Feeds, SessionDescription } from '../runtime/types.ts';
import { runnableFile } from './make/already-quantized.ts';
import { assumeTask } from './samples/assume-task.ts';
import { checkManifest } from './check-manifest.ts';
import { LOAD_TIMEOUT_MS, inChild } from './children.ts';
import type { FitWorker } from './children.ts';
import { delegateFor } from './candidates/delegate.ts';
import { counted } from './progress.ts';
import { lookAtRecorded, recordableInputs, withRecorded } from './samples/recorded.ts';
import type { RecordedSamples } from './samples/recorded.ts';
import { refuseUnpublished } from './candidates/runtimes.ts';
import { loadModel } from './model-file.ts';
import type { LoadedModel } from './model-file.ts';
import {
  MOST_COMMAND_SAMPLES,
  manifestSamples,
  requestedSamples,
  splitSamples,
} from './samples/sample-jobs.ts';
import type { SampleInfo, SampleJob, SampleSets } from './samples/sample-jobs.ts';
import { assumedSizes, mayMissGuess, syntheticFeeds } from './samples/synthetic.ts';
import type { Guess } from './samples/synthetic.ts';
import type { Scratch } from './scratch.ts';
import type { BenchRequest, Hooks } from './types.ts';

/** A model, its samples and this machine, before anything is made. */
export interface Subject {
  readonly package: ModelPackage;
  readonly loaded: LoadedModel;
  readonly description: SessionDescription;
  readonly samples: SampleSets;
  readonly calibrationInfo: SampleInfo | null;
  readonly evaluationInfo: SampleInfo | null;
  /** What samples must bring; null where one of them cannot be recorded. */
  readonly inputs: readonly ModelInput[] | null;
  /** Of this device's own, where they were asked for. */
  readonly recorded: RecordedSamples | null;
  readonly facts: Facts;
  readonly profile: HardwareProfile;
  /** Made-up inputs that it runs with; null where it takes none of them. Samples need none. */
  readonly guess: Guess | null | undefined;
  /** What the model itself is run with. */
  readonly delegate: DelegateOptions | undefined;
}

/** Reads the model and its samples, loads it once, and probes the machine. */
export async function openSubject(
  {
    modelPath,
    samples: source,
    image,
    audio,
    delegate: asked,
    facts: known,
    machineRoot,
  }: Pick<
    BenchRequest,
    'modelPath' | 'samples' | 'image' | 'audio' | 'delegate' | 'facts' | 'machineRoot'
  >,
  scratch: Scratch,
  { signal, progress }: Hooks,
): Promise<Subject> {
  progress({ phase: 'reading the model' });
  const described = await readPackage(modelPath);
  const machine = describeMachine(known, machineRoot);
  // It is awaited later or, when the model cannot be read, never.
  machine.catch(() => undefined);
  const read = await loadModel(described.modelPath);
  const { facts, profile } = await machine;
  refuseUnpublished(read.model.format, facts);
  const delegate = delegateFor(asked, read, facts);
  const loaded = await runnableFile(read, facts.cpu, scratch);
  const { path } = loaded;
  return inChild({
    name: 'loading the model',
    signal,
    scratch,
    use: async (worker) => {
      const timeout = { timeoutMs: LOAD_TIMEOUT_MS };
      const description = await worker.call('describe', { path, delegate }, timeout);
      checkManifest(described, description);
      const look = async (job: SampleJob | null) =>
        job === null ? null : worker.call('sampleInfo', { job, description }, timeout);
      const flags = { image, ...(audio === undefined ? {} : { audio }) };
      const pointed = requestedSamples(described, source, flags);
      const requested =
        pointed === null || !('command' in pointed.origin)
          ? pointed
          : await spooled(pointed.origin.command, {
              job: pointed,
              description,
              worker,
              scratch,
              progress,
            });
      const given =
        requested === null
          ? manifestSamples(described, flags)
          : splitSamples(requested, (await look(requested))?.count ?? null);
      const how = { inputs: described.inputs, ...flags };
      const job = { origin: { path: '' }, ...how };
      const specs = await worker.call('inputSpecs', { job, description }, timeout);
      const inputs = recordableInputs(specs, description);
      const { recorded: folder } = source;
      const recorded = folder === undefined ? null : await lookAtRecorded(folder, inputs);
      const samples =
        folder === undefined || recorded === null
          ? given
          : withRecorded(given, folder, recorded, how);
      const calibrationInfo = await look(samples.calibration);
      const evaluationInfo = await look(samples.evaluation);
      const labelled = evaluationInfo?.labelled ?? false;
      const guess =
        samples.evaluation === null && mayMissGuess(description)
          ? await worker.call('guessSizes', { path, description, delegate }, timeout)
          : undefined;
      // Where no guess runs, nothing will be timed with one.
      const assumed =
        samples.evaluation === null && guess !== null ? assumedSizes(description, guess) : [];
      const { task, warnings } = assumeTask(described.task, description, labelled);
      return {
        package: { ...described, task },
        loaded,
        description,
        samples: {
          ...samples,
          warnings: [...(described.warnings ?? []), ...samples.warnings, ...warnings, ...assumed],
        },
        calibrationInfo,
        evaluationInfo,
        inputs,
        recorded,
        guess,
        facts,
        profile,
        delegate,
      };
    },
  });
}

async function describeMachine(
  known: Facts | undefined,
  root: string | undefined,
): Promise<Pick<Subject, 'facts' | 'profile'>> {
  if (known === undefined) return probeMachine({ root });
  const profile = (await knownProfiles()).find(({ id }) => id === known.profile.id);
  if (profile === undefined) throw new Error(`profile ${known.profile.id} has vanished`);
  return { facts: known, profile };
}

/** Runs the command once and keeps what it gives: every candidate is judged on the same samples. */
async function spooled(
  command: string,
  {
    job,
    description,
    worker,
    scratch,
    progress,
  }: {
    readonly job: SampleJob;
    readonly description: SessionDescription;
    readonly worker: FitWorker;
    readonly scratch: Scratch;
    readonly progress: Hooks['progress'];
  },
): Promise<SampleJob> {
  const phase = 'reading samples from the command';
  progress({ phase });
  const to = scratch.file('samples.bin');
  const count = await worker.call(
    'spool',
    { job, description, to, most: MOST_COMMAND_SAMPLES },
    {
      timeoutMs: LOAD_TIMEOUT_MS,
      onProgress: (value) => progress({ phase, ...counted(value) }),
    },
  );
  return { ...job, origin: { spool: to, count, what: `samples from the command ${command}` } };
}

/** How many threads work that is not measured may use. */
export function workThreads({ facts }: Pick<Subject, 'facts'>): number {
  return Math.max(1, Math.floor(facts.cpu.coresUsable ?? 1));
}

/** One input for timing: the first evaluation sample, or made-up values. */
export async function timingFeeds(
  subject: Subject,
  scratch: Scratch,
  { signal }: Hooks,
): Promise<Feeds> {
  const job = subject.samples.evaluation;
  if (job === null) return syntheticFeeds(subject.description, subject.guess ?? undefined);
  const { description } = subject;
  const args = { timeoutMs: LOAD_TIMEOUT_MS };
  const feeds = await inChild({
    name: 'reading the first sample',
    signal,
    scratch,
    use: (worker) => worker.call('firstFeeds', { job, description }, args),
  });
  return feeds ?? syntheticFeeds(subject.description);
}

/** Tasks whose right answers are in the samples themselves. */
const SELF_LABELLED = ['language'];

/** Whether the task's metric can be expected, before anything has run. */
export function isScored({ package: { task }, evaluationInfo }: Subject): boolean {
  if (task === null) return false;
  return SELF_LABELLED.includes(task.kind) || (evaluationInfo?.labelled ?? false);
}
