import { extensionOf, writeModel } from '../../model/open.ts';
import type { Model } from '../../model/open.ts';
import type { LayerInput, LayerMoments, Statistics } from '../../model/statistics.ts';
import { LOAD_TIMEOUT_MS, inChild } from '../children.ts';
import type { SampleJob } from '../samples/sample-jobs.ts';
import { writeScratchFile } from '../scratch.ts';
import type { Scratch } from '../scratch.ts';
import type { Hooks } from '../types.ts';

/**
 * What leaves the runtime in one run: layers that read the largest tensors are left out beyond. Their
 * few weights see so many pixels that rounding errors average out.
 */
const MOST_BYTES = 64 * 2 ** 20;
const FLOAT_BYTES = 4;

export type LayerInputs = ReadonlyMap<string, LayerMoments>;

export interface SampleLayersOptions {
  /** What is known of the tensors. */
  readonly statistics: Statistics;
  readonly threads: number;
  readonly scratch: Scratch;
  readonly hooks: Hooks;
}

/** Layers of a model, and the model with what they read as outputs. */
export interface Layers {
  readonly layers: readonly LayerInput[];
  readonly expose: (tensors: ReadonlySet<string>) => Model;
}

/** Runs the float model on a few samples and looks at what meets the weights of each layer. */
export async function sampleLayers(
  { layers: all, expose }: Layers,
  job: SampleJob,
  { statistics, threads, scratch, hooks }: SampleLayersOptions,
): Promise<LayerInputs> {
  hooks.progress({ phase: 'looking at layers' });
  return inChild({
    name: 'sampling of layers',
    signal: hooks.signal,
    scratch,
    use: async (worker) => {
      const tensors = smallest(
        all.map(({ tensor }) => tensor),
        statistics,
      );
      const layers = all.filter(({ tensor }) => tensors.has(tensor));
      const exposed = expose(tensors);
      const path = scratch.file(`layers${extensionOf(exposed)}`);
      await writeScratchFile(path, writeModel(exposed));
      const request = { path, job, layers, threads };
      return worker.call('layerInputs', request, { timeoutMs: LOAD_TIMEOUT_MS });
    },
  });
}

/** As many tensors as leave the runtime together. */
function smallest(names: readonly string[], { tensors }: Statistics): ReadonlySet<string> {
  const size = (name: string) =>
    (tensors.get(name)?.shape ?? []).reduce((product, length) => product * length, FLOAT_BYTES);
  let sum = 0;
  const ordered = [...new Set(names)].toSorted((one, other) => size(one) - size(other));
  return new Set(ordered.filter((name) => (sum += size(name)) <= MOST_BYTES));
}
