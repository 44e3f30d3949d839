import { exposeTensors } from '../model/onnx/expose.ts';
import { writeOnnx } from '../model/onnx/open.ts';
import type { OnnxModel } from '../model/onnx/open.ts';
import type { LayerMoments } from '../model/statistics.ts';
import { layersToSample } from '../quantize/onnx/rounding/layers.ts';
import { LOAD_TIMEOUT_MS, inChild } from './children.ts';
import type { SampleJob } from './sample-jobs.ts';
import { writeScratchFile } from './scratch.ts';
import type { Scratch } from './scratch.ts';
import type { Hooks } from './types.ts';

export type LayerInputs = ReadonlyMap<string, LayerMoments>;

/** Runs the float model on a few samples and looks at what meets the weights of each layer. */
export async function sampleLayers(
  prepared: OnnxModel,
  job: SampleJob,
  { threads, scratch, hooks }: { threads: number; scratch: Scratch; hooks: Hooks },
): Promise<LayerInputs> {
  const layers = layersToSample(prepared.graph);
  const tensors = layers.map(({ tensor }) => tensor);
  const path = scratch.file('layers.onnx');
  await writeScratchFile(path, writeOnnx(exposeTensors(prepared, tensors)));
  hooks.progress({ phase: 'looking at layers' });
  return inChild({
    name: 'sampling of layers',
    signal: hooks.signal,
    scratch,
    use: (worker) => {
      const request = { path, job, layers, threads };
      return worker.call('layerInputs', request, { timeoutMs: LOAD_TIMEOUT_MS });
    },
  });
}
