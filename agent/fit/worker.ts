import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Evaluation, EvaluationSample } from '../bench/evaluate.ts';
import type { Round, RoundLimits } from '../bench/latency.ts';
import type { KernelTime } from '../bench/profile.ts';
import type { Warmup } from '../bench/warmup.ts';
import type { ChannelTarget } from '../calibration/channel-ranges.ts';
import type { InputFlags, InputSpecs } from '../calibration/inputs.ts';
import type { ObserverNeeds } from '../calibration/observers/accumulator.ts';
import type { Collected, ReducedTensors } from '../calibration/collect.ts';
import type { SampleSource } from '../calibration/samples/types.ts';
import type { InputSpec, TaskSpec } from '../contracts/manifest.ts';
import type { ChannelRanges, LayerInput, LayerMoments } from '../model/statistics.ts';
import { openFile, runtimeOf } from '../runtime/open-file.ts';
import type { WorkerContext } from '../runtime/protocol.ts';
import type { EngineSessionOptions } from '../runtime/tensorrt/session.ts';
import type {
  DelegateOptions,
  Feeds,
  OpenOptions,
  Outputs,
  Session,
  SessionDescription,
} from '../runtime/types.ts';
import { messageOf } from '../util/errors.ts';
import type { ComparedTensors, ComparePlan } from './compare-tensors.ts';
import type { BiasRequest, WithSession } from './measure-biases.ts';
import type { SampleInfo, SampleJob } from './sample-jobs.ts';
import type { Score, ScoreBoard } from './score-board.ts';
import { spooledSource } from './spool.ts';
import { guessesFor, syntheticFeeds } from './synthetic.ts';
import type { Guess } from './synthetic.ts';

/**
 * What runs in child processes: everything that loads a native library. Modules that only one of the
 * handlers needs are imported there, so that the memory of a benchmark is the model's own.
 */

const PRODUCTION: Omit<OpenOptions, 'threads'> = { optimization: 'all', arena: true };
/** Every tensor keeps its name and no memory is kept back. */
const LOOKING: OpenOptions = { threads: 0, optimization: 'disabled', arena: false };

/** Two tell whether shapes change from sample to sample. */
const SHAPE_SAMPLES = 2;

/** The library that takes over what it can of a TFLite model. */
interface Delegated {
  readonly delegate?: DelegateOptions | undefined;
}

interface SomeSamples {
  readonly job: SampleJob;
  readonly count: number | null;
  readonly most: number;
}

interface Described {
  readonly job: SampleJob;
  readonly description: SessionDescription;
}

export interface TrialRun {
  readonly integerCoverage: number | null;
  /** Why the coverage is not known. */
  readonly problem?: string;
}

/** What versions of a model are scored against. */
let board: ScoreBoard | undefined;

/** The model under measurement; one child measures one candidate. */
let measured: { readonly session: Session; readonly feeds: Feeds } | undefined;

export const handlers = {
  /** Inputs and outputs of a model, by loading it once. */
  describe: ({ path, delegate }: { path: string } & Delegated): Promise<SessionDescription> =>
    withSession(path, { ...LOOKING, threads: 1, ...taken(delegate) }, async (session) =>
      session.describe(),
    ),

  /** The first guess at open sizes that the model runs with; null where none does. */
  guessSizes: ({
    path,
    description,
    delegate,
  }: Delegated & { path: string; description: SessionDescription }): Promise<Guess | null> =>
    withSession(path, { ...LOOKING, threads: 1, ...taken(delegate) }, async (session) => {
      for (const guess of guessesFor(description)) {
        const feeds = syntheticFeeds(description, guess);
        // oxlint-disable-next-line no-await-in-loop -- the next one is for where this one fails
        const ran = await session.run(feeds).then(
          () => true,
          () => false,
        );
        if (ran) return guess;
      }
      return null;
    }),

  /** What the runtime infers of outputs, weights or not: nothing is prepared for running. */
  infer: async ({ path }: { path: string }): Promise<SessionDescription['outputs']> =>
    withSession(path, { ...LOOKING, threads: 1 }, async (session) => session.describe().outputs),

  /** The outputs of a model without inputs: the values of constants. */
  constants: async ({ model }: { model: Uint8Array }): Promise<Outputs> => {
    const folder = await mkdtemp(join(tmpdir(), 'edgefit-constants-'));
    try {
      const path = join(folder, 'constants.onnx');
      await writeFile(path, model);
      return await withSession(path, { ...LOOKING, threads: 1 }, (session) => session.run({}));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },

  sampleInfo: async ({ job, description }: Described): Promise<SampleInfo> => {
    const { source, assumed } = await openJob(job, description);
    const { count, labelled, describe, warnings } = source;
    return { count, labelled, describe, warnings: [...warnings, ...assumed] };
  },

  /** How the values of each input are made, guesses included. */
  inputSpecs: async ({ job, description }: Described): Promise<InputSpecs['inputs']> =>
    (await specsFor(job, description)).inputs,

  /** The first sample, for timing. */
  firstFeeds: async (
    { job, description }: Described,
    { signal }: WorkerContext,
  ): Promise<Feeds | null> => {
    const from = job.from ?? 0;
    const { source } = await openJob({ ...job, from, to: from + 1 }, description, signal);
    for await (const { feeds } of source) return feeds;
    return null;
  },

  /**
   * Keeps up to `most` samples of a command in a file: a camera gives other pictures the second time.
   * Returns how many.
   */
  spool: async (
    { job, description, to, most }: Described & { to: string; most: number },
    context: WorkerContext,
  ): Promise<number> => {
    const { writeReference } = await import('../bench/reference.ts');
    const { source } = await openJob(job, description, context.signal);
    let count = 0;
    async function* first(): AsyncGenerator<Feeds> {
      for await (const { feeds } of source) {
        yield feeds;
        context.progress({ done: ++count });
        if (count === most) return;
      }
    }
    await writeReference(to, first());
    return count;
  },

  /** One streaming pass over the calibration samples. */
  calibrate: async (
    request: {
      path: string;
      job: SampleJob;
      tensors: readonly string[];
      reduced: ReducedTensors | undefined;
      needs: ObserverNeeds;
      threads: number;
      /** Other passes over the same samples follow. */
      again: boolean;
    },
    context: WorkerContext,
  ): Promise<Collected> => {
    const { collect, feedsOf } = await import('../calibration/collect.ts');
    const { sweeping } = await import('./sweep.ts');
    const { remembered } = await import('./remembered.ts');
    const { path, job, tensors, reduced, needs, threads, again } = request;
    return withSession(path, { ...LOOKING, threads }, async (session) => {
      const { source } = await openJob(job, session.describe(), context.signal);
      const read = () => feedsOf(source);
      const samples = again ? remembered(JSON.stringify(job), read) : read();
      return collect(session, sweeping(samples), {
        tensors,
        reduced,
        needs,
        onProgress: (done) => context.progress({ done, total: source.count ?? undefined }),
        signal: context.signal,
      });
    });
  },

  /** Shapes of inputs and outputs, for equalization. */
  shapes: async (
    request: { path: string; job: SampleJob; threads: number },
    { signal }: WorkerContext,
  ): Promise<Map<string, readonly number[]>> => {
    const { collectShapes } = await import('../calibration/channel-ranges.ts');
    const { feedsOf } = await import('../calibration/collect.ts');
    const { path, job, threads } = request;
    return withSession(path, { ...LOOKING, threads }, async (session) => {
      const { source } = await openJob(job, session.describe(), signal);
      return collectShapes(session, feedsOf(source), SHAPE_SAMPLES);
    });
  },

  /** Ranges per channel, for equalization. */
  channelRanges: async (
    request: {
      path: string;
      job: SampleJob;
      threads: number;
      targets: readonly ChannelTarget[];
      most: number;
    },
    context: WorkerContext,
  ): Promise<Map<string, ChannelRanges>> => {
    const { collectChannelRanges } = await import('../calibration/channel-ranges.ts');
    const { feedsOf } = await import('../calibration/collect.ts');
    const { path, job, threads, targets, most } = request;
    return withSession(path, { ...LOOKING, threads }, async (session) => {
      const { source } = await openJob(job, session.describe(), context.signal);
      const total = source.count === null ? undefined : Math.min(source.count, most);
      const onProgress = (done: number) => context.progress({ done, total });
      return collectChannelRanges(session, feedsOf(source), { targets, most, onProgress });
    });
  },

  /** What meets the weights of each layer, from a few of the calibration samples. */
  layerInputs: async (
    request: { path: string; job: SampleJob; layers: readonly LayerInput[]; threads: number },
    context: WorkerContext,
  ): Promise<ReadonlyMap<string, LayerMoments>> => {
    const { collectLayerInputs } = await import('../calibration/layer-inputs.ts');
    const { feedsOf } = await import('../calibration/collect.ts');
    const { path, job, layers, threads } = request;
    return withSession(path, { ...LOOKING, threads }, async (session) => {
      const { source } = await openJob(job, session.describe(), context.signal);
      const { count } = source;
      return collectLayerInputs(session, feedsOf(source), {
        layers,
        count,
        signal: context.signal,
      });
    });
  },

  /** By how much the biases of a quantized model are off, on up to `most` calibration samples. */
  biases: async (
    request: BiasRequest & { job: SampleJob; most: number; threads: number },
    { signal }: WorkerContext,
  ): Promise<ReadonlyMap<string, Float64Array>> => {
    const { measureBiases } = await import('./measure-biases.ts');
    const { forgetSamples } = await import('./remembered.ts');
    forgetSamples();
    const { job, most, threads, float } = request;
    const options = { ...LOOKING, threads };
    const samples = await withSession(float, options, async (session) => {
      const { source } = await openJob(job, session.describe(), signal);
      const taken: Feeds[] = [];
      for await (const { feeds } of source) {
        if (taken.length >= most) break;
        taken.push(feeds);
      }
      return taken;
    });
    const open: WithSession = (path, use) => withSession(path, options, use);
    return measureBiases(request, samples, open, signal);
  },

  /** Runs a model over the evaluation samples and keeps or compares its outputs. */
  evaluate: async (
    request: Delegated & {
      path: string;
      job: SampleJob;
      task: TaskSpec | null;
      reference: string;
      record: boolean;
      threads: number;
    },
    context: WorkerContext,
  ): Promise<Evaluation> => {
    const { evaluate, recordReference } = await import('../bench/evaluate.ts');
    const { path, job, task, reference, record, threads, delegate } = request;
    return withSession(path, { ...PRODUCTION, threads, ...taken(delegate) }, async (session) => {
      const { source } = await openJob(job, session.describe(), context.signal);
      const options = {
        task: task ?? undefined,
        onSample: (done: number) => context.progress({ done, total: source.count ?? undefined }),
        signal: context.signal,
      };
      return record
        ? recordReference(reference, session, source, options)
        : evaluate(session, source, reference, options);
    });
  },

  /**
   * The same with a TensorRT engine, or, without one, the model on the CPU, over about `most` of the
   * samples: an engine is loaded anew for every sample.
   */
  evaluateSome: async (
    request: SomeSamples & {
      path: string;
      engine: EngineSessionOptions | null;
      task: TaskSpec | null;
      reference: string;
      record: boolean;
      threads: number;
    },
    context: WorkerContext,
  ): Promise<Evaluation> => {
    const { evaluate, recordReference } = await import('../bench/evaluate.ts');
    const { path, engine, task, reference, record, threads, most } = request;
    const session =
      engine === null
        ? await openFile(path, { ...PRODUCTION, threads })
        : await openEngineSession(engine, context.signal);
    try {
      const samples = someSamples(request, session.describe(), context.signal);
      const onSample = (done: number) => context.progress({ done, total: most });
      const options = { task: task ?? undefined, onSample, signal: context.signal };
      return record
        ? await recordReference(reference, session, samples, options)
        : await evaluate(session, samples, reference, options);
    } finally {
      await session.close();
    }
  },

  /** Runs a model once, then looks which of its kernels compute with integers. */
  coverage: async ({
    path,
    feeds,
    delegate,
  }: Delegated & { path: string; feeds: Feeds }): Promise<TrialRun> => {
    const runtime = await runtimeOf(path);
    if (runtime.name === 'tflite') {
      const { coverageOfTflite } = await import('./tflite/coverage.ts');
      const options = { ...PRODUCTION, threads: 0, ...taken(delegate) };
      await withSession(path, options, (session) => session.run(feeds));
      return { integerCoverage: await coverageOfTflite(path) };
    }
    const { measureCoverage } = await import('../bench/coverage.ts');
    try {
      const options = { threads: 0, timed: false };
      const { coverage } = await measureCoverage(runtime, path, feeds, options);
      return { integerCoverage: coverage };
    } catch (error) {
      // The profile is of production's own run and one that only looks: production decides.
      await withSession(path, { ...PRODUCTION, threads: 0 }, (session) => session.run(feeds));
      return { integerCoverage: null, problem: messageOf(error) };
    }
  },

  /** How many bytes each output takes for the first sample. */
  outputBytes: async ({ path, job }: { path: string; job: SampleJob }) =>
    withSession(path, { ...LOOKING, threads: 1 }, async (session) => {
      const { source } = await openJob(job, session.describe());
      for await (const { feeds } of source) return bytesOf(await session.run(feeds));
      return {};
    }),

  /** Runs a float and a quantized model over samples and compares inner tensors. */
  compareTensors: async (
    request: {
      float: string;
      quantized: string;
      /** Null where layers cannot be run one by one. */
      layers: string | null;
      plan: ComparePlan;
      job: SampleJob;
      threads: number;
    },
    context: WorkerContext,
  ): Promise<ComparedTensors> => {
    const { compareTensors } = await import('./compare-tensors.ts');
    const { plan, job } = request;
    const options = { ...LOOKING, threads: request.threads };
    return withSession(request.float, options, (float) =>
      withSession(request.quantized, options, (quantized) =>
        withLayers(request.layers, options, async (layers, why) => {
          const { source } = await openJob(job, float.describe(), context.signal);
          const sessions = { float, quantized, layers };
          const found = await compareTensors(sessions, plan, source, (done) =>
            context.progress({ done, total: source.count ?? undefined }),
          );
          return why === undefined ? found : { ...found, problem: why };
        }),
      ),
    );
  },

  /** Loads the model to be measured; returns how long that took, and what is to be known of it. */
  open: async (
    request: Delegated & { path: string; threads: number; feeds: Feeds },
  ): Promise<{ loadMs: number; notes: readonly string[] }> => {
    await (await runtimeOf(request.path)).version();
    const start = performance.now();
    const session = await openFile(request.path, {
      ...PRODUCTION,
      threads: request.threads,
      ...taken(request.delegate),
    });
    const loadMs = performance.now() - start;
    measured = { session, feeds: request.feeds };
    return { loadMs, notes: session.describe().notes ?? [] };
  },

  warmUp: async (): Promise<Warmup> => {
    const { warmUp } = await import('../bench/warmup.ts');
    const { session, feeds } = current();
    return warmUp(session, feeds);
  },

  /** Runs the float model over a few samples, to score versions of it. Returns how many and how fast. */
  startScoring: async (
    request: {
      path: string;
      job: SampleJob;
      count: number | null;
      most: number;
      budgetMs: number;
      threads: number;
    },
    context: WorkerContext,
  ): Promise<{ samples: number; floatMs: number }> => {
    const { recordBoard } = await import('./score-board.ts');
    const { forgetSamples } = await import('./remembered.ts');
    forgetSamples();
    const { path, job, count, threads } = request;
    board = await withSession(path, { ...PRODUCTION, threads }, async (session) => {
      const { spread } = await import('./spread.ts');
      const jobs = spread(job, count, request.most);
      async function* samples() {
        for (const one of jobs) {
          // oxlint-disable-next-line no-await-in-loop -- one after the other
          const { source } = await openJob(one, session.describe(), context.signal);
          yield* source;
        }
      }
      return recordBoard(session, samples(), request);
    });
    return { samples: board.samples.length, floatMs: board.floatMs };
  },

  /** How far a version is from the float model on those samples. */
  score: async ({ path, threads }: { path: string; threads: number }): Promise<Score> => {
    const { scoreOn } = await import('./score-board.ts');
    const known = currentBoard();
    return withSession(path, { ...PRODUCTION, threads }, (session) => scoreOn(known, session));
  },

  /** The noise of every switch of a model, as a share of the outputs' power. */
  scoreSwitches: async (
    request: { path: string; input: string; count: number; budgetMs: number; threads: number },
    context: WorkerContext,
  ): Promise<Float64Array> => {
    const { scoreSwitches } = await import('./score-switches.ts');
    const { path, threads, ...rest } = request;
    // No integer kernels: the switches stand between the nodes that would become one.
    const options: OpenOptions = { threads, optimization: 'basic', arena: true };
    return withSession(path, options, (session) =>
      scoreSwitches(currentBoard(), session, {
        ...rest,
        onProgress: (done, total) => context.progress({ done, total }),
      }),
    );
  },

  /** The shortest time of each kernel of a model, in ms, over runs of about `budgetMs`. */
  kernelTimes: async ({
    path,
    budgetMs,
  }: {
    path: string;
    budgetMs: number;
  }): Promise<ReadonlyMap<string, KernelTime>> => {
    const { profileText } = await import('../bench/coverage.ts');
    const { readKernelTimes } = await import('../bench/profile.ts');
    const { samples, floatMs } = currentBoard();
    const count = Math.min(50, Math.max(3, Math.floor(budgetMs / Math.max(floatMs, 0.01))));
    const runs = Array.from({ length: count }, (_, index) => samples[index % samples.length]);
    const feeds = runs.flatMap((sample) => (sample === undefined ? [] : [sample.feeds]));
    return readKernelTimes(
      await profileText(await runtimeOf(path), path, feeds, { ...PRODUCTION, threads: 1 }),
    );
  },

  round: async ({ limits }: { limits: RoundLimits }): Promise<Round> => {
    const { measureRound } = await import('../bench/latency.ts');
    const { session, feeds } = current();
    return measureRound(session, feeds, limits);
  },
};

async function openEngineSession(
  options: EngineSessionOptions,
  signal: AbortSignal,
): Promise<Session> {
  const { openEngine } = await import('../runtime/tensorrt/session.ts');
  return openEngine(options, signal);
}

/** About `most` samples of a job, spread over all of them. */
async function* someSamples(
  { job, count, most }: SomeSamples,
  description: SessionDescription,
  signal: AbortSignal,
): AsyncGenerator<EvaluationSample> {
  const { spread } = await import('./spread.ts');
  let taken = 0;
  for (const part of spread(job, count, most)) {
    // oxlint-disable-next-line no-await-in-loop -- one sample in memory at a time
    const { source } = await openJob(part, description, signal);
    // oxlint-disable-next-line no-await-in-loop -- as above
    for await (const sample of source) {
      if (taken++ >= most) return;
      yield sample;
    }
  }
}

const taken = (delegate: DelegateOptions | undefined) =>
  delegate === undefined ? {} : { delegate };

function current() {
  if (measured === undefined) throw new Error('no model is open');
  return measured;
}

function currentBoard(): ScoreBoard {
  if (board === undefined) throw new Error('no float model was run to score against');
  return board;
}

async function withSession<T>(
  path: string,
  options: OpenOptions,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await openFile(path, options);
  try {
    return await use(session);
  } finally {
    await session.close();
  }
}

/** Layers cut out of a model may be more than the runtime can take: the rest goes on without. */
async function withLayers<T>(
  path: string | null,
  options: OpenOptions,
  use: (session: Session | undefined, problem?: string) => Promise<T>,
): Promise<T> {
  if (path === null) return use(undefined);
  let session: Session | undefined;
  try {
    session = await openFile(path, options);
  } catch (error) {
    return use(undefined, messageOf(error));
  }
  try {
    return await use(session);
  } finally {
    await session.close();
  }
}

function bytesOf(outputs: Outputs): Record<string, number> {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { data }]) => {
      return [name, 'byteLength' in data ? data.byteLength : 0];
    }),
  );
}

async function openJob(
  job: SampleJob,
  description: SessionDescription,
  /** Ends a command that captures samples. */
  signal?: AbortSignal,
): Promise<{ source: SampleSource; assumed: readonly string[] }> {
  const { origin } = job;
  if ('spool' in origin) return { source: spooledSource(origin, job), assumed: [] };
  const { openSamples } = await import('../calibration/samples/open.ts');
  const { inputs, assumed } = await specsFor(job, description);
  const range = { from: job.from, to: job.to, signal };
  const source = await openSamples(origin, inputs, description, range);
  return { source, assumed };
}

function specsFor(job: SampleJob, description: SessionDescription): Promise<InputSpecs> {
  const { width, height, ...image } = job.image;
  const size = width === undefined || height === undefined ? {} : { imageSize: { width, height } };
  const given = Object.fromEntries(
    Object.entries(job.inputs).map(([name, spec]) => [name, withImage(spec, job.image)]),
  );
  const audio = job.audio === undefined ? {} : { audio: job.audio };
  return inputSpecs(description, { ...image, ...size, ...audio }, given);
}

/** What is given completely needs no guessing, and its schemas, which take their time, no loading. */
async function inputSpecs(
  description: SessionDescription,
  flags: InputFlags,
  given: InputSpecs['inputs'],
): Promise<InputSpecs> {
  const complete = description.inputs.every(({ name }) => Object.hasOwn(given, name));
  if (complete && Object.keys(flags).length === 0) return { inputs: given, assumed: [] };
  const { inputSpecsFromModel } = await import('../calibration/inputs.ts');
  return inputSpecsFromModel(description, flags, given);
}

function withImage(spec: InputSpec, image: SampleJob['image']): InputSpec {
  return 'image' in spec ? { image: { ...spec.image, ...image } } : spec;
}
