import type { Evaluation, EvaluationSample } from '../../bench/evaluate.ts';
import type { TaskSpec } from '../../contracts/manifest.ts';
import { openFile, runtimeOf } from '../../runtime/open-file.ts';
import type { WorkerContext } from '../../runtime/protocol.ts';
import type { EngineSessionOptions } from '../../runtime/tensorrt/session.ts';
import type { Feeds, OpenOptions, Session, SessionDescription } from '../../runtime/types.ts';
import { messageOf } from '../../util/errors.ts';
import type { ComparedTensors, ComparePlan } from '../inspect/compare-tensors.ts';
import type { SampleJob } from '../samples/sample-jobs.ts';
import { openJob } from './samples.ts';
import { PRODUCTION, LOOKING, withSession, delegated } from './sessions.ts';
import type { Delegated } from './sessions.ts';

/* How a version computes, beside the float model. */

/** What a version is judged by. */
interface Judged {
  readonly task: TaskSpec | null;
  readonly reference: string;
  /** Its outputs become the reference. */
  readonly record: boolean;
}

interface SomeSamples {
  readonly job: SampleJob;
  readonly count: number | null;
  readonly most: number;
}

export interface TrialRun {
  readonly integerCoverage: number | null;
  /** Why the coverage is not known. */
  readonly problem?: string;
}

export const judgingHandlers = {
  /** Runs a model over the evaluation samples and keeps or compares its outputs. */
  evaluate: async (
    request: Delegated &
      Judged & {
        path: string;
        job: SampleJob;
        threads: number;
      },
    context: WorkerContext,
  ): Promise<Evaluation> => {
    const { path, job, threads, delegate } = request;
    return withSession(
      path,
      { ...PRODUCTION, threads, ...delegated(delegate) },
      async (session) => {
        const { source } = await openJob(job, session.describe(), context.signal);
        return judge(session, source, request, source.count ?? undefined, context);
      },
    );
  },

  /**
   * The same with a TensorRT engine, or, without one, the model on the CPU, over about `most` of the
   * samples: an engine is loaded anew for every sample.
   */
  evaluateSome: async (
    request: SomeSamples &
      Judged & {
        path: string;
        engine: EngineSessionOptions | null;
        threads: number;
      },
    context: WorkerContext,
  ): Promise<Evaluation> => {
    const { path, engine, threads, most } = request;
    const session =
      engine === null
        ? await openFile(path, { ...PRODUCTION, threads })
        : await openEngineSession(engine, context.signal);
    try {
      const samples = someSamples(request, session.describe(), context.signal);
      return await judge(session, samples, request, most, context);
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
      const { coverageOfTflite } = await import('../tflite/coverage.ts');
      const options = { ...PRODUCTION, threads: 0, ...delegated(delegate) };
      await withSession(path, options, (session) => session.run(feeds));
      return { integerCoverage: await coverageOfTflite(path) };
    }
    const { measureCoverage } = await import('../../bench/coverage.ts');
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
    const { compareTensors } = await import('../inspect/compare-tensors.ts');
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
};

async function judge(
  session: Session,
  samples: AsyncIterable<EvaluationSample>,
  { task, reference, record }: Judged,
  total: number | undefined,
  context: WorkerContext,
): Promise<Evaluation> {
  const { evaluate, recordReference } = await import('../../bench/evaluate.ts');
  const onSample = (done: number) => context.progress({ done, total });
  const options = { task: task ?? undefined, onSample, signal: context.signal };
  return record
    ? recordReference(reference, session, samples, options)
    : evaluate(session, samples, reference, options);
}

async function openEngineSession(
  options: EngineSessionOptions,
  signal: AbortSignal,
): Promise<Session> {
  const { openEngine } = await import('../../runtime/tensorrt/session.ts');
  return openEngine(options, signal);
}

/** About `most` samples of a job, spread over all of them. */
async function* someSamples(
  { job, count, most }: SomeSamples,
  description: SessionDescription,
  signal: AbortSignal,
): AsyncGenerator<EvaluationSample> {
  const { spread } = await import('../samples/spread.ts');
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
