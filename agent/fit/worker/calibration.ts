import type { ChannelTarget } from '../../calibration/channel-ranges.ts';
import type { Collected, ReducedTensors } from '../../calibration/collect.ts';
import type { ObserverNeeds } from '../../calibration/observers/accumulator.ts';
import type { ChannelRanges, LayerInput, LayerMoments } from '../../model/statistics.ts';
import type { WorkerContext } from '../../runtime/protocol.ts';
import type { Feeds } from '../../runtime/types.ts';
import type { BiasRequest, WithSession } from '../calibrate/measure-biases.ts';
import type { SampleJob } from '../samples/sample-jobs.ts';
import { openJob } from './samples.ts';
import { LOOKING, withSession } from './sessions.ts';

/* Passes over the calibration samples. */

/** Two tell whether shapes change from sample to sample. */
const SHAPE_SAMPLES = 2;

export const calibrationHandlers = {
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
    const { collect, feedsOf } = await import('../../calibration/collect.ts');
    const { sweeping } = await import('../samples/sweep.ts');
    const { remembered } = await import('../samples/remembered.ts');
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
    const { collectShapes } = await import('../../calibration/channel-ranges.ts');
    const { feedsOf } = await import('../../calibration/collect.ts');
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
    const { collectChannelRanges } = await import('../../calibration/channel-ranges.ts');
    const { feedsOf } = await import('../../calibration/collect.ts');
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
    const { collectLayerInputs } = await import('../../calibration/layer-inputs.ts');
    const { feedsOf } = await import('../../calibration/collect.ts');
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
    const { measureBiases } = await import('../calibrate/measure-biases.ts');
    const { forgetSamples } = await import('../samples/remembered.ts');
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
};
