import { exposeTensors } from '../model/onnx/expose.ts';
import { writeOnnx } from '../model/onnx/open.ts';
import type { OnnxModel } from '../model/onnx/open.ts';
import type { LayerMoments } from '../model/statistics.ts';
import { layersToSample } from '../quantize/onnx/rounding/layers.ts';
import { inferTypes } from './calibrate.ts';
import { valuesIn } from './calibration-groups.ts';
import { LOAD_TIMEOUT_MS, inChild } from './children.ts';
import type { SampleJob } from './sample-jobs.ts';
import { writeScratchFile } from './scratch.ts';
import type { Scratch } from './scratch.ts';
import type { Hooks } from './types.ts';

/**
 * Values that leave the runtime in one run: layers that read the largest tensors are left out beyond.
 * Their few weights see so many pixels that rounding errors average out.
 */
const MOST_EXPOSED_VALUES = 2 ** 24;

export type LayerInputs = ReadonlyMap<string, LayerMoments>;

/** Runs the float model on a few samples and looks at what meets the weights of each layer. */
export async function sampleLayers(
  prepared: OnnxModel,
  job: SampleJob,
  { threads, scratch, hooks }: { threads: number; scratch: Scratch; hooks: Hooks },
): Promise<LayerInputs> {
  hooks.progress({ phase: 'looking at layers' });
  return inChild({
    name: 'sampling of layers',
    signal: hooks.signal,
    scratch,
    use: async (worker) => {
      const all = layersToSample(prepared.graph);
      const named = all.map(({ tensor }) => tensor);
      const known = await inferTypes({ model: prepared, tensors: named, worker, scratch });
      const tensors = smallest(named, new Map(known.map((one) => [one.name, valuesIn(one)])));
      const layers = all.filter(({ tensor }) => tensors.has(tensor));
      const path = scratch.file('layers.onnx');
      await writeScratchFile(path, writeOnnx(exposeTensors(prepared, tensors)));
      const request = { path, job, layers, threads };
      return worker.call('layerInputs', request, { timeoutMs: LOAD_TIMEOUT_MS });
    },
  });
}

/** As many tensors as leave the runtime together; inputs and those of unknown size are among them. */
function smallest(
  names: readonly string[],
  sizes: ReadonlyMap<string, number | undefined>,
): ReadonlySet<string> {
  const size = (name: string) => sizes.get(name) ?? 0;
  let sum = 0;
  const ordered = [...new Set(names)].toSorted((a, b) => size(a) - size(b));
  return new Set(ordered.filter((name) => (sum += size(name)) <= MOST_EXPOSED_VALUES));
}
