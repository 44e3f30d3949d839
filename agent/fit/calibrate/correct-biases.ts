import { exposeTensors } from '../../model/onnx/expose.ts';
import { withGraph, writeOnnx } from '../../model/onnx/open.ts';
import type { OnnxModel } from '../../model/onnx/open.ts';
import type { Statistics } from '../../model/statistics.ts';
import { shiftBiases } from '../../quantize/onnx/bias-sites.ts';
import type { Quantized } from '../../quantize/report.ts';
import { LOAD_TIMEOUT_MS, inChild } from '../children.ts';
import type { SampleJob } from '../samples/sample-jobs.ts';
import { writeScratchFile } from '../scratch.ts';
import type { Scratch } from '../scratch.ts';
import type { Hooks } from '../types.ts';

/** Means settle soon; these are kept in memory between two layers. */
const MOST_SAMPLES = 32;
/** For the tensors that are live between two layers, of all samples. */
const MOST_BYTES = 64 * 2 ** 20;
/** Tensors of the largest size that are live at a time: a branch, and what it is added to. */
const LIVE_TENSORS = 3;

export interface CorrectionOptions {
  readonly job: SampleJob;
  readonly statistics: Statistics;
  readonly threads: number;
  readonly scratch: Scratch;
  readonly hooks: Hooks;
}

/** The quantized model with its biases moved to where its layers agree with float on average. */
export async function correctBiases(
  prepared: OnnxModel,
  quantized: Quantized<OnnxModel>,
  { job, statistics, threads, scratch, hooks }: CorrectionOptions,
): Promise<Quantized<OnnxModel>> {
  const { model, biases: sites = [] } = quantized;
  if (sites.length === 0) return quantized;
  const float = scratch.file('biases-float.onnx');
  const path = scratch.file('biases-quantized.onnx');
  const tensors = sites.map((site) => site.float);
  await writeScratchFile(float, writeOnnx(exposeTensors(prepared, tensors)));
  await writeScratchFile(path, writeOnnx(model));
  hooks.progress({ phase: 'correcting biases' });
  const request = { float, quantized: path, sites, job, most: samplesFor(statistics), threads };
  const shifts = await inChild({
    name: 'bias correction',
    signal: hooks.signal,
    scratch,
    use: (worker) => worker.call('biases', request, { timeoutMs: LOAD_TIMEOUT_MS }),
  });
  return { ...quantized, model: withGraph(model, shiftBiases(model.graph, sites, shifts)) };
}

function samplesFor({ tensors }: Statistics): number {
  let largest = 1;
  for (const { shape } of tensors.values()) {
    largest = Math.max(
      largest,
      shape.reduce((product, size) => product * size, 4),
    );
  }
  return Math.min(MOST_SAMPLES, Math.floor(MOST_BYTES / (LIVE_TENSORS * largest)));
}
