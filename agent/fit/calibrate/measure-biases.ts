import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openOnnx, withGraph, writeOnnx } from '../../model/onnx/open.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import { splitStages, stageGraph } from '../../model/onnx/stages.ts';
import type { Stage } from '../../model/onnx/stages.ts';
import type { BiasSite } from '../../quantize/onnx/bias-sites.ts';
import type { Feeds, Outputs, Session, Tensor } from '../../runtime/types.ts';
import { elementType } from './tensors.ts';

/** Opens a model file as it is written, uses it, closes it. */
export type WithSession = <T>(path: string, use: (session: Session) => Promise<T>) => Promise<T>;

export interface BiasRequest {
  /** The float model, with the sites' float tensors among its outputs. */
  readonly float: string;
  /** The quantized model. */
  readonly quantized: string;
  readonly sites: readonly BiasSite[];
}

/** Fewer samples say too little about a mean. */
const FEWEST_SAMPLES = 4;

/**
 * By how much each bias is off: what the float model computes minus what the quantized one does, on
 * average per channel, by `raw`. Stage by stage, so that every unit is judged with all units before
 * it already put right (Nagel et al. 2021, "A White Paper on Neural Network Quantization", 3.4,
 * empirical bias correction). The samples and the tensors between two stages stay in memory.
 */
export async function measureBiases(
  { float, quantized, sites }: BiasRequest,
  samples: readonly Feeds[],
  withSession: WithSession,
  signal: AbortSignal,
): Promise<Map<string, Float64Array>> {
  const shifts = new Map<string, Float64Array>();
  if (samples.length < FEWEST_SAMPLES) return shifts;
  const wanted = await withSession(float, (session) => floatMeans(session, samples, sites, signal));
  const model = openOnnx(await readFile(quantized));
  const stages = splitStages(model.graph, new Set(sites.map(({ raw }) => raw)));
  const byRaw = new Map(sites.map((site) => [site.raw, site]));
  const live = samples.map((feeds) => new Map(Object.entries(feeds)));
  const folder = await mkdtemp(join(tmpdir(), 'edgefit-stages-'));
  try {
    const path = join(folder, 'stage.onnx');
    for (const [at, stage] of stages.entries()) {
      signal.throwIfAborted();
      // oxlint-disable-next-line no-await-in-loop -- each stage reads what the one before it made
      await writeFile(path, Buffer.concat(writeOnnx(stageModel(model, stage, live[0]))));
      // oxlint-disable-next-line no-await-in-loop -- as above
      await withSession(path, (session) => runStage(session, stage, live));
      for (const name of stage.gives) {
        const site = byRaw.get(name);
        const means = wanted.get(site?.float ?? '');
        const shift = means && correct({ name, copies: site?.copies ?? 1 }, means, live);
        if (shift !== undefined) shifts.set(name, shift);
      }
      forget(live, stages.slice(at + 1));
    }
    return shifts;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Means per channel of the float tensors, a row for each sample. */
async function floatMeans(
  session: Session,
  samples: readonly Feeds[],
  sites: readonly BiasSite[],
  signal: AbortSignal,
): Promise<Map<string, Float64Array[]>> {
  const means = new Map<string, Float64Array[]>();
  for (const feeds of samples) {
    signal.throwIfAborted();
    // oxlint-disable-next-line no-await-in-loop -- one run after the other
    const outputs: Outputs = await session.run(feeds);
    for (const { float } of sites) {
      const mean = channelMeans(outputs[float]);
      if (mean === undefined) continue;
      means.set(float, [...(means.get(float) ?? []), mean]);
    }
  }
  return means;
}

type Live = Map<string, Tensor>;

function stageModel(model: OnnxModel, stage: Stage, live: Live | undefined): OnnxModel {
  const types = new Map(
    stage.reads.map((name) => [name, elementType(live?.get(name)?.dtype ?? 'float32')]),
  );
  return withGraph(model, stageGraph(model.graph, stage, types));
}

async function runStage(session: Session, { reads }: Stage, live: readonly Live[]): Promise<void> {
  for (const tensors of live) {
    const feeds = Object.fromEntries(
      reads.flatMap((name) => {
        const tensor = tensors.get(name);
        return tensor === undefined ? [] : [[name, tensor]];
      }),
    );
    // oxlint-disable-next-line no-await-in-loop -- one run after the other
    const made = await session.run(feeds);
    for (const [name, tensor] of Object.entries(made)) tensors.set(name, tensor);
  }
}

/**
 * Shifts a tensor of every sample to where float is on average; returns by how much. Channels that the
 * float model has not (they are zero) stay.
 */
function correct(
  { name, copies }: { readonly name: string; readonly copies: number },
  wanted: readonly Float64Array[],
  live: readonly Live[],
): Float64Array | undefined {
  const off = live.map((tensors, sample) => {
    const mean = averaged(channelMeans(tensors.get(name)), copies);
    return mean?.map((value, c) => (wanted[sample]?.[c] ?? 0) - value);
  });
  const known = off.filter((one) => one !== undefined);
  const [first] = known;
  if (first === undefined || known.length < live.length) return undefined;
  const once = first.map((_, c) => believed(known.map((one) => one[c] ?? 0)));
  const shift = Float64Array.from(
    { length: once.length * copies },
    (_, c) => once[c % once.length] ?? 0,
  );
  for (const tensors of live) addToChannels(tensors.get(name), shift);
  return shift;
}

/** One mean for the copies of a channel, which lie behind one another. */
function averaged(means: Float64Array | undefined, copies: number): Float64Array | undefined {
  if (means === undefined || copies === 1) return means;
  const channels = means.length / copies;
  return Float64Array.from({ length: channels }, (_, c) => {
    let sum = 0;
    for (let at = c; at < means.length; at += channels) sum += means[at] ?? 0;
    return sum / copies;
  });
}

/** The mean, less the more it might be chance: what it is squared against its own variance. */
function believed(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const chance = squares / ((values.length - 1) * values.length);
  const share = mean === 0 ? 0 : 1 - chance / (mean * mean);
  return Number.isFinite(share) && share > 0 ? mean * share : 0;
}

/** Channels of a unit's output: axis 1 of a convolution, the last axis of a matrix. */
function channelsOf(shape: readonly number[]) {
  const channels = shape[1] ?? 1;
  return { channels, inner: shape.slice(2).reduce((a, b) => a * b, 1) };
}

function channelMeans(tensor: Tensor | undefined): Float64Array | undefined {
  if (!(tensor?.data instanceof Float32Array) || tensor.data.length === 0) return undefined;
  const { channels, inner } = channelsOf(tensor.shape);
  const sums = new Float64Array(channels);
  const { data } = tensor;
  for (let at = 0, c = 0; at < data.length; c = (c + 1) % channels) {
    let sum = 0;
    for (const end = at + inner; at < end; at++) sum += data[at] ?? 0;
    sums[c] = (sums[c] ?? 0) + sum;
  }
  return sums.map((sum) => (sum * channels) / data.length);
}

function addToChannels(tensor: Tensor | undefined, shift: Float64Array): void {
  if (!(tensor?.data instanceof Float32Array)) return;
  const { channels, inner } = channelsOf(tensor.shape);
  const { data } = tensor;
  for (let at = 0, c = 0; at < data.length; c = (c + 1) % channels) {
    const by = shift[c] ?? 0;
    for (const end = at + inner; at < end; at++) data[at] = (data[at] ?? 0) + by;
  }
}

/** Drops what no later stage reads. */
function forget(live: readonly Live[], later: readonly Stage[]): void {
  const needed = new Set(later.flatMap(({ reads }) => reads));
  for (const tensors of live) {
    for (const name of tensors.keys()) if (!needed.has(name)) tensors.delete(name);
  }
}
